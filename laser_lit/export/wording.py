"""An export in words, for the terminal."""

from laser_lit.export.result import Exported

SHOWN = 6


def in_words(exported: Exported) -> str:
    """Returns what was written, in a few lines.

    Args:
        exported: from `export_model` or `convert`.
    """
    size = f"{exported.parameters:,} parameters"
    if exported.parameters != exported.parameters_before:
        size += f" in place of {exported.parameters_before:,}"
    lines = [
        f"  exported to {exported.folder}",
        f"    {exported.format}, {exported.dtype}, {size}, {megabytes(exported.bytes)} of weights",
    ]
    if exported.factored:
        n = len(exported.factored) + len(exported.dense)
        lines.append(f"    {len(exported.factored)} of {n} edited matrices as two thin factors")
    shown = [f"    whole: {matrix}: {reason}" for matrix, reason in list(exported.dense.items())[:SHOWN]]
    if len(exported.dense) > SHOWN:
        shown.append(f"    … and {len(exported.dense) - SHOWN} more, listed in README.md")
    return "\n".join([*lines, *shown])


def megabytes(size: int) -> str:
    """Returns a size in words.

    Args:
        size: in bytes.
    """
    return f"{size / 1e6:,.1f} MB" if size < 10**10 else f"{size / 1e9:,.1f} GB"
