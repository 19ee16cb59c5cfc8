"""Every section that a run has something to show for, in the order of the page."""

from collections.abc import Callable

import pandas as pd

from laser_lit.report.sections.calibration import calibration_section
from laser_lit.report.sections.components import components_section
from laser_lit.report.sections.composition import composition_section
from laser_lit.report.sections.frequency import frequency_section
from laser_lit.report.sections.general_text import general_text_section
from laser_lit.report.sections.mechanism import mechanism_section
from laser_lit.report.sections.paraphrases import paraphrases_section
from laser_lit.report.sections.section import Section
from laser_lit.report.sections.spectra import spectra_section
from laser_lit.report.sections.storage import storage_section
from laser_lit.results.record import Record

SECTIONS: tuple[Callable[[Record, pd.DataFrame], Section | None], ...] = (
    mechanism_section,
    components_section,
    frequency_section,
    paraphrases_section,
    calibration_section,
    composition_section,
    spectra_section,
    storage_section,
    general_text_section,
)
"""Each makes its section from record and predictions, or None where they hold nothing of the kind."""


ASKED = ("components", "storage", "general-text")
"""Sections of analyses that are made only where they are asked for, so that the terminal says what came out."""


def sections(record: Record, predictions: pd.DataFrame) -> list[Section]:
    """Returns the sections.

    Args:
        record: of the run.
        predictions: as from `predictions_table`.
    """
    found = [make(record, predictions) for make in SECTIONS]
    return [section for section in found if section is not None]


def asked_paragraphs(record: Record, predictions: pd.DataFrame) -> list[str]:
    """Returns what the analyses that were asked for found, in the words of their sections.

    Args:
        record: of the run.
        predictions: as from `predictions_table`.
    """
    return [text for section in sections(record, predictions) if section.name in ASKED for text in section.paragraphs]
