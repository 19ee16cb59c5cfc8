"""`search=optuna` on a scorer without a model: one good matrix in each of two layers, which add up."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from searches import ROWS, FakeScorer

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.search.loop import Loop
from laser_lit.search.optuna_driver import drive
from laser_lit.search.optuna_study import Study, WholeLines, quiet
from laser_lit.search.space import Edits, Space, describe, place_of

GOOD = {(0, "fc_in"): 4, (1, "fc_out"): 1}
NOISE = np.linspace(-0.3, 0.3, ROWS)
MakeLoop = Callable[..., Loop]


def losses(edits: Edits) -> np.ndarray:
    """Good matrices gain most at one rank, all others lose."""
    loss = 1.0 + NOISE
    for edit in edits:
        best = GOOD.get((int(str(edit.layer)), str(edit.matrix)))
        away = 0.0 if best is None else abs(math.log2((edit.rank or 1) / best))
        loss = loss + (0.3 if best is None else 0.05 * away - 0.25) + 0.01 * np.cos(np.arange(ROWS) * (edit.rank or 1))
    return loss


def settings(**fields: object) -> SearchConfig:
    return SearchConfig(name="optuna", **({"trials": 40, "stack": 2} | fields))  # type: ignore[arg-type]


def studies(folder: Path) -> list[optuna.Study]:
    with quiet():
        paths = sorted((folder / "results").glob("optuna-*.jsonl"))
        stores = [optuna.storages.JournalStorage(WholeLines(path)) for path in paths]
        return [optuna.load_study(study_name=None, storage=store) for store in stores]


def states(folder: Path) -> list[str]:
    (study,) = studies(folder)
    return [trial.state.name for trial in study.trials]


def test_a_good_stack_is_found_and_more_than_one_edit_is_tried(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(losses, text=True), objective="log_loss")
    best = drive(loop, settings(trials=60))
    assert best is not None
    assert {place_of(edit)[1:] for edit in best.edits} & set(GOOD)
    assert loop.objective.merit(best)[0] > -0.8  # the base has -1, the best single edit -.75, both -.5
    sizes = {len(cell.edits) for cell in loop.cells}
    assert sizes == {1, 2}


def test_unpromising_stacks_are_given_up_after_part_of_the_rows(make_loop: MakeLoop, tmp_path: Path):
    loop = make_loop(FakeScorer(losses, text=True), objective="log_loss")
    drive(loop, settings())
    parts = [cell for cell in loop.cells if cell.n < loop.size]
    assert len(parts) == states(tmp_path).count("PRUNED") > 5
    assert loop.cost < 0.75 * len(loop.cells)
    merits = [loop.objective.merit(cell)[0] for cell in loop.cells if cell.n == loop.size]
    for cell in parts:  # none of them would have been the best
        assert -losses(cell.edits).mean() < max(merits)


def test_one_seed_gives_one_search(make_loop: MakeLoop, tmp_path: Path):
    asked = []
    for run in range(3):
        loop = make_loop(FakeScorer(losses), seed=int(run == 2))
        drive(loop, settings(trials=15))
        asked.append([cell.edits for cell in loop.cells])
        for path in (tmp_path / "results").iterdir():
            path.unlink()
    assert asked[0] == asked[1] != asked[2]


def test_a_rerun_of_a_finished_study_adds_nothing(make_loop: MakeLoop, tmp_path: Path):
    first = make_loop(FakeScorer(losses))
    best = drive(first, settings())
    before = states(tmp_path)
    scorer = FakeScorer(losses)
    second = make_loop(scorer)
    again = drive(second, settings())
    assert best is not None
    assert again is not None
    assert again.edits == best.edits
    assert scorer.asked == []
    assert states(tmp_path) == before
    assert {cell.edits: cell.n for cell in second.cells} == {cell.edits: cell.n for cell in first.cells}
    assert second.cost == pytest.approx(first.cost)


def test_a_study_that_goes_on_is_the_study_that_never_stopped(make_loop: MakeLoop, tmp_path: Path):
    drive(make_loop(FakeScorer(losses)), settings(trials=12))
    drive(make_loop(FakeScorer(losses)), settings(trials=30))
    (halves,) = studies(tmp_path)
    halves = [trial.params for trial in halves.trials]
    for path in (tmp_path / "results").iterdir():
        path.unlink()
    drive(make_loop(FakeScorer(losses)), settings(trials=30))
    (whole,) = studies(tmp_path)
    assert [trial.params for trial in whole.trials] == halves


def test_nothing_is_scored_twice_and_no_matrix_is_in_a_stack_twice(make_loop: MakeLoop):
    scorer = FakeScorer(losses)
    loop = make_loop(scorer, seed=3)
    scorer.asked.clear()
    drive(loop, settings(trials=50, stack=3))
    rows = [(describe(edits), row) for edits, part in scorer.asked for row in part]
    assert len(rows) == len(set(rows))
    for cell in loop.cells:
        places = [place_of(edit) for edit in cell.edits]
        assert len(set(places)) == len(places)
        assert set(cell.edits) <= set(loop.space.edits)
        assert list(cell.edits) == sorted(cell.edits, key=lambda edit: (str(edit.matrix), int(str(edit.layer))))


def test_a_small_space_is_exhausted_and_the_search_ends(make_loop: MakeLoop, matrices, tmp_path: Path):
    space = Space.of(matrices, layers=0, matrix=["fc_in"], ranks=(1, 4))
    loop = make_loop(FakeScorer(losses), space)
    best = drive(loop, settings(trials=200))
    assert best is not None
    assert best.edits == (Edit(0, "fc_in", rank=4),)
    assert len(loop.cells) == 2
    count = len(states(tmp_path))
    drive(make_loop(FakeScorer(losses), space), settings(trials=200))
    assert len(states(tmp_path)) == count


def test_shards_share_the_study_and_its_trials(make_loop: MakeLoop, tmp_path: Path):
    stacks = []
    for shard in range(3):
        loop = make_loop(FakeScorer(losses))
        known = len(studies(tmp_path)[0].trials) if shard else 0
        drive(loop, settings(trials=20, shard=shard, shards=3))
        (study,) = studies(tmp_path)
        own = [trial for trial in study.trials[known:] if "duplicate" not in trial.user_attrs]
        assert len(own) == (7, 7, 6)[shard]
        stacks += [trial.user_attrs["stack"] for trial in own]
    assert len(set(stacks)) == 20
    scorer = FakeScorer(losses)
    loop = make_loop(scorer)
    assert drive(loop, settings(trials=20)) is not None
    assert scorer.asked == []
    assert len(loop.cells) == 20


def test_what_another_process_scored_meanwhile_is_chosen_from(make_loop: MakeLoop):
    early = make_loop(FakeScorer(losses))
    best = drive(make_loop(FakeScorer(losses)), settings())
    scorer = early.scorer
    scorer.asked.clear()  # type: ignore[attr-defined]
    found = drive(early, settings())
    assert best is not None
    assert found is not None
    assert found.edits == best.edits
    assert scorer.asked == []  # type: ignore[attr-defined]


def test_what_another_process_scores_at_the_same_time_is_not_scored_again(make_loop: MakeLoop):
    other = FakeScorer(losses)

    class Beside(FakeScorer):
        """Another process makes its trials when this one is to score its fifth piece."""

        def score(self, stack: Stack | None, rows: Sequence[int] | None = None) -> pd.DataFrame:
            if len(self.asked) == 5 and not other.asked:
                drive(make_loop(other), settings(trials=20, shard=1, shards=2))
            return super().score(stack, rows)

    scorer = Beside(losses)
    loop = make_loop(scorer)
    drive(loop, settings(trials=20, shard=0, shards=2))
    assert len(loop.cells) == 20
    assert other.asked
    assert not {edits for edits, _ in scorer.asked} & {edits for edits, _ in other.asked if edits}


def test_a_stack_that_cannot_be_scored_is_a_failed_trial(make_loop: MakeLoop, tmp_path: Path):
    def broken(edits: Edits) -> np.ndarray:
        if any(edit.matrix == "q_proj" for edit in edits):
            raise InputError("overflows")
        return losses(edits)

    loop = make_loop(FakeScorer(broken))
    assert drive(loop, settings()) is not None
    failed = [cell for cell in loop.cells if cell.error]
    assert failed
    (study,) = studies(tmp_path)
    said = [trial.user_attrs["error"] for trial in study.trials if "error" in trial.user_attrs]
    assert said == ["InputError: overflows"] * len(failed)
    assert len(loop.cells) == 40
    mended = make_loop(FakeScorer(losses), retry=True)
    drive(mended, settings(retry=True))
    assert not any(cell.error for cell in mended.cells)


def test_values_that_are_no_numbers_are_given_up(make_loop: MakeLoop, tmp_path: Path):
    loop = make_loop(FakeScorer(lambda edits: losses(edits) * (np.inf if len(edits) == 2 else 1)), objective="log_loss")
    best = drive(loop, settings(trials=20))
    assert best is not None
    assert len(best.edits) == 1
    assert drive(make_loop(FakeScorer(losses), objective="log_loss"), settings(trials=20)) is not None


def test_a_killed_trial_is_left_as_failed_and_the_study_goes_on(make_loop: MakeLoop, tmp_path: Path):
    class Killed(BaseException):
        pass

    calls = iter(range(1000))

    def dies(edits: Edits) -> np.ndarray:
        if edits and next(calls) == 10:
            raise Killed
        return losses(edits)

    with pytest.raises(Killed):
        drive(make_loop(FakeScorer(dies)), settings(trials=15))
    assert states(tmp_path)[-1] == "RUNNING"
    count = len(states(tmp_path))
    (path,) = (tmp_path / "results").glob("optuna-*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"op_code":8,"worker_id":"a torn li')
    loop = make_loop(FakeScorer(losses))
    assert drive(loop, settings(trials=15)) is not None
    after = states(tmp_path)
    assert after[count - 1] == "FAIL"
    assert "RUNNING" not in after
    (study,) = studies(tmp_path)
    assert sum("stack" in trial.user_attrs for trial in study.trials) == 15 + 1
    assert [json.loads(line) for line in path.read_text().splitlines()]


def test_a_trial_that_runs_elsewhere_is_left_alone(make_loop: MakeLoop, tmp_path: Path):
    loop = make_loop(FakeScorer(losses))
    with quiet():
        Study(loop, settings(shard=1, shards=2)).ask()
    drive(loop, settings(trials=4, shard=0, shards=2))
    assert states(tmp_path)[0] == "RUNNING"
    drive(loop, settings(trials=4, shard=1, shards=2))
    assert states(tmp_path)[0] == "FAIL"


def test_a_trial_taken_for_dead_by_another_process_does_no_harm(make_loop: MakeLoop, tmp_path: Path):
    loops = iter([make_loop(FakeScorer(losses))])

    def meddling(edits: Edits) -> np.ndarray:
        for loop in loops:
            with quiet():
                Study(loop, settings(trials=5))
        return losses(edits)

    loop = make_loop(FakeScorer(lambda edits: meddling(edits) if edits else losses(edits)))
    assert drive(loop, settings(trials=5)) is not None
    assert states(tmp_path)[0] == "FAIL"
    assert len(states(tmp_path)) >= 6


@pytest.mark.parametrize("change", ["space", "objective", "seed", "stack", "content"])
def test_searches_for_something_else_have_a_study_of_their_own(make_loop: MakeLoop, matrices, tmp_path: Path, change):
    drive(make_loop(FakeScorer(losses)), settings(trials=2))
    other = make_loop(
        FakeScorer(losses),
        Space.of(matrices, ranks=(1, 2)) if change == "space" else None,
        objective="log_loss" if change == "objective" else "accuracy",
        seed=int(change == "seed"),
    )
    if change == "content":
        other.content["model"] = "another"
    drive(other, settings(trials=2, stack=3 if change == "stack" else 2))
    assert len(studies(tmp_path)) == 2
