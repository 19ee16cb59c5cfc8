from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES
from searches import FakeScorer

from laser_lit.models.matrices import MatrixMap, find_matrices
from laser_lit.results.store import ResultsStore
from laser_lit.search.loop import Loop
from laser_lit.search.objective import Objective
from laser_lit.search.rows import Rows
from laser_lit.search.space import Space


@pytest.fixture(scope="session")
def matrices() -> MatrixMap:
    return find_matrices(FAMILIES["gptj"]())


@pytest.fixture
def make_loop(matrices: MatrixMap, tmp_path: Path) -> Callable[..., Loop]:
    def make(
        scorer: FakeScorer,
        space: Space | None = None,
        objective: str = "accuracy",
        about: object = 0,
        **options: object,
    ) -> Loop:
        table = FakeScorer(scorer.losses_of, scorer.text).score(None)
        rows = Rows.of(table, np.ones(len(table)), 0)
        space = space or Space.of(matrices, ranks=(1, 2, 4))
        store = ResultsStore(tmp_path / "results")
        content = {"model": "fake", "seed": about}
        return Loop(scorer, space, Objective(objective, rows.weights), rows, matrices, store, content, **options)

    return make
