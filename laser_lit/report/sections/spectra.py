"""The section of the edited matrices' singular values."""

from typing import Any

import pandas as pd

from laser_lit.report.figure import Figure, layout, log_axis, selector
from laser_lit.report.sections.section import Section, Table
from laser_lit.report.wording import amount, matrix_name, value
from laser_lit.results.record import AppliedEdit, Record
from laser_lit.results.spectra import Spectra, Spectrum

_COLUMNS = ("matrix", "kept", "energy kept", "rel. error", "effective rank", "noise ends at", "values above")


def spectra_section(record: Record, predictions: pd.DataFrame) -> Section | None:
    """Returns the section; None for a record without spectra.

    Args:
        record: of the run.
        predictions: not looked at.
    """
    spectra = record.analyses.spectra
    if spectra is None:
        return None
    pairs = [(record.edits[spectrum.edit], spectrum) for spectrum in spectra.shown]
    return Section(
        name="spectra",
        title="Spectra of the edited matrices",
        paragraphs=(_sentence(pairs), *_left_out(spectra)),
        figures=(_figure(pairs),),
        tables=(Table("spectra", "Spectra", _COLUMNS, tuple(_row(*pair) for pair in pairs), _COLUMNS[2:]),),
        note=(
            "Energy is the sum of the squared singular values. The effective rank is exp(entropy) of the values over "
            "their sum. Noise ends at the Marchenko–Pastur edge: the largest singular value of a random matrix of this "
            "shape whose median is this one's."
        ),
    )


def _sentence(pairs: list[tuple[AppliedEdit, Spectrum]]) -> str:
    if len(pairs) > 1:
        kept = sorted(spectrum.energy for _, spectrum in pairs)
        return (
            f"The {len(pairs)} edits keep {value(kept[0], True)} to {value(kept[-1], True)} of their matrices' energy."
        )
    ((edit, spectrum),) = pairs
    of = " of its outputs on the calibration text" if spectrum.outputs else ""
    above = ""
    if spectrum.above is not None:
        above = f"; {spectrum.above:,} of its singular values rise above what noise would reach"
    return (
        f"{_begun(matrix_name(edit))}, {amount(edit)}, keeps {value(spectrum.energy, True)} of the energy{of}. "
        f"Its effective rank is {value(spectrum.effective_rank, False)}{above}."
    )


def _begun(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def _left_out(spectra: Spectra) -> tuple[str, ...]:
    if not spectra.left_out:
        return ()
    return (
        f"Not shown: {spectra.left_out:,} more, of matrices that are edited twice, whose factors the edit did not need "
        f"or the cache did not keep, or beyond the first {len(spectra.shown):,}.",
    )


def _figure(pairs: list[tuple[AppliedEdit, Spectrum]]) -> Figure:
    lines = [_lines(*pair) for pair in pairs]
    names = (("kept", "--accent", "markers"), ("dropped", "--quiet", "markers"), ("noise ends", "--bad", "lines"))
    data = [_trace(name, colour, mode, *lines[0][name]) for name, colour, mode in names]
    axes = [[log_axis(number for points in own.values() for number in points[at]) for at in (0, 1)] for own in lines]
    menus: dict[str, Any] = {}
    if len(pairs) > 1:
        options = {
            f"{matrix_name(edit)}, {amount(edit)}": {
                axis: [own[name][place] for name, _, _ in names] for place, axis in enumerate("xy")
            }
            for (edit, _), own in zip(pairs, lines, strict=True)
        }
        marks = [{"xaxis.dtick": x["dtick"], "yaxis.dtick": y["dtick"]} for x, y in axes]
        menus = {"updatemenus": [selector("matrix", options, layouts=marks)]}
    return Figure(
        "spectra",
        "Singular values",
        "Both axes are logarithmic. Values of 0 are not drawn, and of large matrices not every component is.",
        data,
        layout("component", "singular value", xaxis=axes[0][0], yaxis=axes[0][1], showlegend=True, **menus),
    )


def _lines(edit: AppliedEdit, spectrum: Spectrum) -> dict[str, tuple[list[Any], list[Any]]]:
    """Returns the points of each trace of one matrix, as x and y."""
    first = edit.kind == "low_rank"
    points = list(zip(spectrum.components, spectrum.values, strict=True))
    kept = [point for point in points if (point[0] <= (edit.rank or 0)) == first]
    dropped = [point for point in points if (point[0] <= (edit.rank or 0)) != first]
    ends = [] if spectrum.edge is None else [spectrum.components[0], spectrum.components[-1]]
    return {
        "kept": ([place for place, _ in kept], [size for _, size in kept]),
        "dropped": ([place for place, _ in dropped], [size for _, size in dropped]),
        "noise ends": (ends, [spectrum.edge] * len(ends)),
    }


def _trace(name: str, colour: str, mode: str, x: list[Any], y: list[Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "x": x,
        "y": y,
        "hovertemplate": f"component %{{x}}: %{{y:.4g}} ({name})<extra></extra>",
        "marker": {"size": 5, "color": colour},
        "line": {"color": colour, "width": 1.5, "dash": "dot"},
    }


def _row(edit: AppliedEdit, spectrum: Spectrum) -> tuple[str, ...]:
    edge = "" if spectrum.edge is None else f"{spectrum.edge:.4g}"
    above = "" if spectrum.above is None else f"{spectrum.above:,}"
    return (
        matrix_name(edit),
        amount(edit),
        value(spectrum.energy, True),
        value(edit.relative_error, False),
        value(spectrum.effective_rank, False),
        edge,
        above,
    )
