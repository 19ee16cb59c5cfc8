"""The higher-order components of the edited matrices alone: what do they answer where the edit helps?"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from laser_lit.edits.edit import Edit
from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.results.components import DROPPED, Alone, Answers, Components, Share, Word
from laser_lit.results.stats import bootstrap_ci
from laser_lit.scoring.tokens import answers_ids

WORDS = 5
"""Answers that are named of each."""


@dataclass(frozen=True)
class ComponentPlan:
    """Which components are left alone.

    Attributes:
        shares: as typed, in rising order; None for all that the edits drop, and for none.
        kept: components of each edited matrix that are left, by share; none at all comes last.
        stacks: that leave them.
        base: components that each matrix has.
        laser: that each edit keeps.
    """

    shares: tuple[float | None, ...]
    kept: tuple[tuple[int, ...], ...]
    stacks: tuple[Stack, ...]
    base: tuple[int, ...]
    laser: tuple[int, ...]

    @classmethod
    def of(cls, shares: Sequence[float], stack: Stack, rows: Sequence[AppliedEdit]) -> "ComponentPlan":
        """Returns the stacks that replace each edited matrix by its components of the smallest singular values.

        Shares that leave the same components are one; then come what the edits drop, and no component.

        Args:
            shares: of min(out, in), in (0, 1); at least one component is left, and one left out.
            stack: the edits.
            rows: the stack as resolved.

        Raises:
            InputError: an edit that is no plain low-rank one, one that drops nothing, or a matrix that is edited twice.
        """
        for row in rows:
            _check(row, [other.name for other in rows].count(row.name))
        kept: dict[tuple[int, ...], float | None] = {}
        for share in sorted(shares):
            kept.setdefault(tuple(_left(share, row.d) for row in rows), share)
        dropped = tuple(row.d - (row.rank or 0) for row in rows)
        kept.pop(dropped, None)
        kept |= {dropped: None, (0,) * len(rows): None}
        stacks = tuple(_stack(rows, left, stack) for left in kept)
        full, low = tuple(row.d for row in rows), tuple(row.rank or 0 for row in rows)
        return cls(tuple(kept.values()), tuple(kept), stacks, full, low)


def _check(row: AppliedEdit, times: int) -> None:
    where, rest = f"layer {row.layer} {row.matrix}", "leave analysis.components out"
    if row.kind != "low_rank" or row.decomposition is not None:
        what = row.kind if row.decomposition is None else f"{row.decomposition} decomposition"
        raise InputError(
            f"analysis.components: {where} has a {what} edit, and only plain low-rank ones are looked at; {rest}"
        )
    if row.rank is None or row.rank >= row.d:
        raise InputError(f"analysis.components: the edit of {where} drops no component; {rest}")
    if times > 1:
        raise InputError(
            f"analysis.components: {where} is edited twice, so that what is dropped is not one thing; {rest}"
        )


def _left(share: float, d: int) -> int:
    return min(d - 1, max(1, int(Decimal(str(share)) * d)))


def _stack(rows: Sequence[AppliedEdit], left: Sequence[int], stack: Stack) -> Stack:
    edits = [
        Edit(row.layer, row.matrix, part=row.part, expert=row.expert, **_kind(row.d - n, row.d))
        for row, n in zip(rows, left, strict=True)
    ]
    return Stack(edits, svd=stack.svd, cache=stack.cache)


def _kind(dropped: int, d: int) -> dict[str, Any]:
    return {"kind": "zero"} if dropped == d else {"kind": "high_order", "rank": dropped}


@dataclass(frozen=True)
class Asked:
    """What there is to know of the examples.

    Attributes:
        rows: positions in the test table of those that are looked at.
        generic: the base's commonest wrong answer by category, under None where there are no categories.
        valid: the right answers of each category, as `plain`.
        vectors: unit vectors of answers in the input embeddings.
        seed: of the resampling.
    """

    rows: np.ndarray
    generic: dict[str | None, str]
    valid: dict[str, set[str]]
    vectors: "AnswerVectors"
    seed: int = 0


class AnswerVectors:
    """Answers as unit vectors: the input embeddings of their tokens, averaged."""

    def __init__(self, embeddings: Tensor, tokenizer: object) -> None:
        """Keeps what they are made of.

        Args:
            embeddings: (vocabulary, d) of the model's input.
            tokenizer: the model's.
        """
        self._embeddings = embeddings.detach()
        self._tokenizer = tokenizer

    def __call__(self, answers: Sequence[str]) -> np.ndarray:
        """Returns (n, d) unit vectors; 0 for an answer without tokens.

        Args:
            answers: as the tables have them, without outer spaces.
        """
        distinct = list(dict.fromkeys(answers))
        ids = answers_ids(self._tokenizer, "the", " ", distinct)
        rows = [self._embeddings[own].float().mean(0) if own else self._embeddings[0].float() * 0 for own in ids]
        unit = torch.nn.functional.normalize(torch.stack(rows).double(), dim=1).cpu().numpy()  # (distinct, d)
        places = {answer: place for place, answer in enumerate(distinct)}
        return np.asarray(unit[[places[answer] for answer in answers]])


def plain(answer: str) -> str:
    """Returns an answer as answers are compared."""
    return str(answer).strip().casefold()


def valid_answers(tables: Sequence[pd.DataFrame]) -> dict[str, set[str]]:
    """Returns the right answers that each category has anywhere, as `plain`.

    Args:
        tables: a row an example, with category (None for none) and answer.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for table in tables:
        for category, answer in zip(table["category"], table["answer"], strict=True):
            if category is not None:
                found[category].add(plain(answer))
    return dict(found)


def commonest_errors(table: pd.DataFrame) -> dict[str | None, str]:
    """Returns the commonest wrong answer of each category, of equals the first; under None without categories.

    Args:
        table: a row an example; of the base, on a split that is not reported.
    """
    found: dict[str | None, Counter[str]] = defaultdict(Counter)
    wrong = table[~table["correct"].astype(bool)]
    for category, prediction in zip(_categories(table, wrong), wrong["prediction"].astype(str), strict=True):
        found[category][prediction] += 1
    return {category: counts.most_common(1)[0][0] for category, counts in found.items()}


def _categories(table: pd.DataFrame, rows: pd.DataFrame) -> list[str | None]:
    return rows["category"].tolist() if table["category"].notna().all() else [None] * len(rows)


def _generic(rows: pd.DataFrame, asked: Asked) -> np.ndarray:
    """Returns whether each answer is the generic word (n,)."""
    places = [None] * len(rows) if None in asked.generic else rows["category"].tolist()
    words = {category: plain(word) for category, word in asked.generic.items()}
    given = rows["prediction"].astype(str)
    return np.array([plain(word) == words.get(place) for word, place in zip(given, places, strict=True)], float)


def components(
    plan: ComponentPlan, base: pd.DataFrame, laser: pd.DataFrame, tables: Sequence[pd.DataFrame], asked: Asked
) -> Components | None:
    """Returns what the components answer on test examples that the edit fixes, and on those right anyway.

    Args:
        plan: which components.
        base: the base's test table.
        laser: the edit's, of the same examples in the same order.
        tables: of the plan's stacks, likewise.
        asked: what is known of the examples.

    Returns:
        None where the edit fixes nothing.
    """
    before, after = (table["correct"].to_numpy(bool)[asked.rows] for table in (base, laser))
    fixed, right = asked.rows[~before & after], asked.rows[before & after]
    if not fixed.size:
        return None

    def alone(name: str, share: float | None, kept: tuple[int, ...], table: pd.DataFrame) -> Alone:
        anyway = _answers(table.iloc[right], asked) if right.size else None
        return Alone(name, share, kept, _answers(table.iloc[fixed], asked), anyway)

    parts = [alone(_name(share), share, *rest) for share, *rest in zip(plan.shares, plan.kept, tables, strict=True)]
    return Components(
        generic=tuple(dict.fromkeys(asked.generic.values())),
        n_fixed=len(fixed),
        groups_fixed=int(base["group"].iloc[fixed].nunique()),
        n_right=len(right),
        left_out=len(base) - len(asked.rows),
        base=alone("base", None, plan.base, base),
        laser=alone("LASER", None, plan.laser, laser),
        zeroed=replace(parts[-1], name="zeroed"),
        alone=tuple(parts[:-1]),
        generic_added=_added(tables, fixed, asked),
        generic_added_right=_added(tables, right, asked),
    )


def _added(tables: Sequence[pd.DataFrame], rows: np.ndarray, asked: Asked) -> Share | None:
    """Returns by how much the second last table says the generic word more often than the last."""
    if not asked.generic or not rows.size:
        return None
    said, without = (_generic(table.iloc[rows], asked) for table in tables[-2:])
    return _share(said - without, tables[-1].iloc[rows], asked.seed)


def _share(values: np.ndarray, rows: pd.DataFrame, seed: int) -> Share:
    return Share(float(values.mean()), bootstrap_ci(values, rows["group"].astype(str).to_numpy(), seed=seed))


def _name(share: float | None) -> str:
    return DROPPED if share is None else f"bottom {100 * share:g} %"


def _answers(rows: pd.DataFrame, asked: Asked) -> Answers:
    share = partial(_share, rows=rows, seed=asked.seed)
    given, right = rows["prediction"].astype(str).tolist(), rows["answer"].astype(str).tolist()
    said, meant = asked.vectors(given), asked.vectors(right)  # (n, d)
    generic = share(_generic(rows, asked)) if asked.generic else None
    category = None
    if asked.valid and rows["category"].notna().all():
        inside = [plain(word) in asked.valid[kind] for word, kind in zip(given, rows["category"], strict=True)]
        category = share(np.array(inside, float))
    return Answers(
        accuracy=share(rows["correct"].to_numpy(float)),
        generic=generic,
        category=category,
        cosine=share((said * meant).sum(1)),
        closer=share((said * (meant - meant.mean(0))).sum(1)),
        words=tuple(Word(word, n / len(given)) for word, n in Counter(given).most_common(WORDS)),
    )
