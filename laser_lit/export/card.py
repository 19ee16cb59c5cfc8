"""The model card of an edited model."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from laser_lit.edits.row import AppliedEdit
from laser_lit.export.origin import CARD, Origin
from laser_lit.export.result import Exported
from laser_lit.files import write_text_atomic
from laser_lit.models.load import has_tokenizer


def write_card(folder: Path, exported: Exported, origin: Origin, rows: Sequence[AppliedEdit]) -> None:
    """Writes README.md with YAML front matter.

    Args:
        folder: of the model.
        exported: what is in it.
        origin: what it was made from.
        rows: the edits.
    """
    front = {
        **origin.front_matter(),
        **({"base_model": origin.id} if origin.on_hub else {}),
        "library_name": "transformers" if exported.format == "dense" else "laser_lit",
        "tags": ["laser", "low-rank", "model-editing"],
    }
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {origin.id}, edited",
        _what(exported, origin),
        _loading(exported, has_tokenizer(folder)),
        "## Edits",
        _table(exported, rows),
        _made(origin),
    ]
    write_text_atomic(folder / CARD, "\n\n".join(part for part in parts if part) + "\n")


def _what(exported: Exported, origin: Origin) -> str:
    revision = f" (revision {origin.revision})" if origin.revision else ""
    lines = [
        f"{origin.id}{revision} with {exported.n_edits} weight matri{'x' if exported.n_edits == 1 else 'ces'} edited "
        "by laser_lit. stack.yaml says exactly what was done and can be applied again.",
        "",
        f"- type: {exported.dtype}",
        f"- parameters: {exported.parameters:,}, before the edits {exported.parameters_before:,}",
    ]
    if exported.format == "factored":
        lines.append(f"- matrices stored as two thin factors: {len(exported.factored)}")
    return "\n".join(lines)


def _loading(exported: Exported, with_tokenizer: bool) -> str:
    if exported.format == "dense":
        own = "AutoModelForCausalLM" if exported.causal else "AutoModel"  # as a policy, which reads no text
        return "An ordinary checkpoint:\n\n```python\n" + (
            f'from transformers import {own}\n\nmodel = {own}.from_pretrained("DIR")\n```'
            if exported.causal or not with_tokenizer
            else 'from laser_lit import load_model\n\nmodel, tokenizer = load_model("DIR")\n```'
        )
    return (
        "Some matrices are stored as two thin factors, which laser_lit loads and transformers alone does not:\n\n"
        '```python\nfrom laser_lit import load_model\n\nmodel, tokenizer = load_model("DIR")\n```\n\n'
        "`python -m laser_lit.export DIR NEW --format dense` makes an ordinary checkpoint of it."
    )


def _table(exported: Exported, rows: Sequence[AppliedEdit]) -> str:
    lines = [
        "| matrix | parameter | shape | edit | kept | relative error | stored as |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = exported.place(row)
        cells = (
            name,
            f"`{row.name}`",
            f"{row.shape[0]} × {row.shape[1]}",
            row.kind if row.decomposition is None else f"{row.kind}, {row.decomposition}",
            _kept(row),
            f"{row.relative_error:.4g}",
            _stored(exported, name),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _stored(exported: Exported, name: str) -> str:
    if name in exported.factored:
        return f"factors of rank {exported.factored[name]}"
    reason = exported.dense.get(name)
    return f"a whole matrix: {reason}" if reason else "a whole matrix"


def _kept(row: AppliedEdit) -> str:
    if row.rank is None:
        return f"{row.rho:.4g} of the entries"
    what = "dropped" if row.kind == "high_order" else "of"
    return f"rank {row.rank} {what} {row.d}"


def _made(origin: Origin) -> str:
    lines = []
    if origin.provenance:
        lines.append(f"Edits: {origin.provenance}.")
    if origin.command:
        lines.append(f"Made by\n\n```\n{origin.command}\n```")
    return "## How it was made\n\n" + "\n\n".join(lines) if lines else ""
