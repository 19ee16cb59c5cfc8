"""The card of a folder of interventions."""

from pathlib import Path

import yaml

from laser_lit.models.hub import is_hub_id
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.reft import Reft


def card_of(reft: Reft) -> str:
    """Returns README.md with YAML front matter.

    Args:
        reft: the interventions.
    """
    base = reft.base
    on_hub = base.id is not None and is_hub_id(base.id) and not Path(base.id).is_dir()
    front = {
        **({"base_model": base.id} if on_hub else {}),
        "library_name": "laser_lit",
        "tags": ["reft", "representation-finetuning"],
    }
    name = "a model" if base.id is None else base.id if on_hub else Path(base.id).name
    revision = f" (revision {base.revision})" if base.revision else ""
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# Interventions on {name}",
        f"{reft.parameter_count:,} parameters that edit hidden states of {name}{revision}, {base.model_type} with "
        f"{base.layers} layers of size {base.size}, at tokens of the prompt (ReFT, arXiv 2404.03592). The model's own "
        "weights stay as they are.",
        "## Interventions",
        _table(reft),
        "## Use",
        _use(name if on_hub else "MODEL", base.revision if on_hub else None),
    ]
    return "\n\n".join(parts) + "\n"


def _table(reft: Reft) -> str:
    lines = [
        "| layer | component | type | rank | positions | share | act_fn | dropout | dtype |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for said in reft.interventions:
        cells = (_layers(said), f"`{said.component}`", said.type, said.rank, said.positions, said.share, said.act_fn)
        lines.append(f"| {' | '.join(map(str, (*cells, said.dropout, said.dtype)))} |")
    return "\n".join(lines)


def _layers(said: Intervention) -> str:
    if said.layer is None:
        return "–"
    return ", ".join(map(str, said.layer)) if isinstance(said.layer, tuple) else str(said.layer)


def _use(model: str, revision: str | None) -> str:
    keywords = "" if revision is None else f', revision="{revision}"'
    return (
        "```python\n"
        "from laser_lit import load_model, load_reft\n\n"
        f'model, tokenizer = load_model("{model}"{keywords})\n'
        'with load_reft("DIR").attached(model):\n'
        '    tokens = tokenizer("…", return_tensors="pt")\n'
        "    print(tokenizer.decode(model.generate(**tokens, max_new_tokens=32)[0]))\n"
        "```"
    )
