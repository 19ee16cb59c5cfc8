"""Every section that a run has something to show for, in the order of the page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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

Make = Callable[[Record, pd.DataFrame], Section | None]

SECTIONS: tuple[Make, ...] = (
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


def sections(record: Record, predictions: pd.DataFrame) -> list[Section]:
    """Returns the sections.

    Args:
        record: of the run.
        predictions: as from `predictions_table`.
    """
    return _made(SECTIONS, record, predictions)


def asked_paragraphs(record: Record, predictions: pd.DataFrame) -> list[str]:
    """Returns what the analyses that were asked for found, in the words of their sections.

    Args:
        record: of the run.
        predictions: as from `predictions_table`.
    """
    made = _made(_asked(record.config.get("analysis") or {}), record, predictions)
    return [text for section in made for text in section.paragraphs]


def _asked(analysis: Mapping[str, Any]) -> list[Make]:
    corpus, text = analysis.get("corpus") or {}, analysis.get("text") or {}
    settings: dict[Make, Any] = {
        components_section: analysis.get("components"),
        frequency_section: corpus.get("path") or corpus.get("id"),
        composition_section: analysis.get("path"),
        storage_section: analysis.get("storage"),
        general_text_section: text.get("data"),
    }
    return [make for make, setting in settings.items() if setting]


def _made(makes: Sequence[Make], record: Record, predictions: pd.DataFrame) -> list[Section]:
    found = [make(record, predictions) for make in makes]
    return [section for section in found if section is not None]
