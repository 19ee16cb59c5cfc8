"""Which parameters a list of `unfrozen_parameters` lets train: the format of Spectrum and axolotl.

Source: snr_results_*_unfrozenparameters_*.yaml of Spectrum (Hartford et al. 2024, arXiv:2406.06623); patterns are read
by the rule of axolotl (`freeze_layers_except`): they match from the beginning of a name, and dots are dots.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from laser_lit.errors import InputError

KEY = "unfrozen_parameters"
_PLAIN = re.compile(r"[\w.-]+")
"""A pattern without regular expressions in it."""
_ROWS = re.compile(r"(.+)\[\d*(:\d*)?\]")
"""A pattern that ends in a range of rows to axolotl, as in ^lm_head.weight$[:32000]."""
_EXAMPLE = f"{KEY}:\n- model.layers.0.mlp.down_proj\n- ^lm_head.weight$"


@dataclass(frozen=True)
class Unfrozen:
    """What trains.

    Attributes:
        names: parameters, in the model's order; of a tensor with several names, the first.
        shared: names that stand for one tensor each, where the list unfroze it under any of them.
        trained: number of entries that train.
        total: number of entries in all.
    """

    names: tuple[str, ...]
    shared: tuple[tuple[str, ...], ...]
    trained: int
    total: int


def read_unfrozen(path: str | Path) -> tuple[str, ...]:
    """Returns the patterns of a file, in order and once each.

    Args:
        path: a YAML file with a list `unfrozen_parameters`, as Spectrum's scanner writes it; other keys are passed
            over, so that a whole axolotl config is read too.

    Raises:
        InputError: no such file, no such list in it, an empty list, or an entry that is no regular expression.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"finetune.unfrozen={path}: no such file; task=scan writes one, or take Spectrum's")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or KEY not in content:
        raise InputError(f"{path} has no list {KEY!r} at its top; it should look like\n{_EXAMPLE}")
    patterns = content[KEY]
    if not isinstance(patterns, list | None):
        raise InputError(f"{path}: {KEY} is a {type(patterns).__name__}, not a list; it should look like\n{_EXAMPLE}")
    if not patterns:
        raise InputError(f"{path}: {KEY} is empty, so that nothing would train")
    return tuple(dict.fromkeys(_checked(pattern, path) for pattern in patterns))


def _checked(pattern: Any, path: Path) -> str:
    if not isinstance(pattern, str) or not pattern.strip():
        raise InputError(f"{path}: {pattern!r} in {KEY} is not the name of a parameter or a regular expression")
    rows = _ROWS.fullmatch(pattern)
    if rows:
        raise InputError(
            f"{path}: {pattern!r} names rows of a parameter, as axolotl allows; here parameters train whole: "
            f"write {rows[1]!r}"
        )
    try:
        _expression(pattern)
    except re.error as error:
        raise InputError(f"{path}: {pattern!r} is no regular expression: {error}") from error
    return pattern


def _expression(pattern: str) -> re.Pattern[str]:
    """Returns the regular expression in which dots are dots, but for `.+`."""
    return re.compile(re.sub(r"(?<!\\)\.(?!\+)", r"\\.", pattern))


def matched(pattern: str, names: Sequence[str]) -> list[str]:
    """Returns the parameters that a pattern unfreezes.

    The name of a module or parameter, as Spectrum writes it, stands for that module alone: `model.layers.1` does not
    reach layer 10, which it begins too. Anything else is matched from the beginning of the name.

    Args:
        pattern: a name or a regular expression.
        names: of all parameters.
    """
    if _PLAIN.fullmatch(pattern):
        exact = [name for name in names if name == pattern or name.startswith(pattern.rstrip(".") + ".")]
        if exact:
            return exact
    expression = _expression(pattern)
    return [name for name in names if expression.match(name)]


def freeze_except(model: nn.Module, patterns: Iterable[str] | None) -> Unfrozen:
    """Returns what trains, having set `requires_grad` of every parameter.

    A tensor that has several names (input and output embeddings that are tied) trains when any of them is unfrozen.
    Names may leave out the prefix of the base model (`transformer.`), as the checkpoints of base models do.

    Args:
        model: any module whose weights are floating point.
        patterns: as from `read_unfrozen`; None unfreezes everything.

    Raises:
        InputError: a pattern that matches no parameter; the nearest names are listed.
    """
    tensors = dict(model.named_parameters(remove_duplicate=False))
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    chosen = set(tensors) if patterns is None else _chosen(tuple(patterns), list(tensors), prefix)
    aliases: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        aliases.setdefault(id(tensor), []).append(name)
    kept = [names for names in aliases.values() if chosen.intersection(names)]
    for tensor in tensors.values():
        tensor.requires_grad_(False)
    for names in kept:
        tensors[names[0]].requires_grad_(True)
    return Unfrozen(
        tuple(names[0] for names in kept),
        tuple(tuple(names) for names in kept if len(names) > 1),
        sum(tensors[names[0]].numel() for names in kept),
        sum(tensors[names[0]].numel() for names in aliases.values()),
    )


def _chosen(patterns: Sequence[str], names: list[str], prefix: str) -> set[str]:
    chosen: set[str] = set()
    inside = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    for pattern in patterns:
        found = matched(pattern, names) or [prefix + name for name in matched(pattern, inside)]
        if not found:
            raise InputError(
                f"{pattern!r} in {KEY} matches no parameter; nearest: {', '.join(_nearest(pattern, names))} "
                "(names are matched from their beginning, and a dot is a dot: write .+ or [0-9]+ for any)"
            )
        chosen.update(found)
    return chosen


def _nearest(pattern: str, names: Sequence[str]) -> list[str]:
    """Returns names of parameters and modules that look like a pattern."""
    plain = re.sub(r"[\^$\\]", "", pattern)
    known = list(dict.fromkeys(part for name in names for part in (name, name.rpartition(".")[0]) if part))
    ending = [name for name in known if name.endswith(plain)]
    return (ending or difflib.get_close_matches(plain, known, n=3, cutoff=0.0))[:3]
