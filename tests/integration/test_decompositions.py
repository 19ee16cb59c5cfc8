"""Whitened edits and edits in blocks, from the command line to the record and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from laser_lit.jobs import calibration

EDIT = ("laser=single", "laser.layer=1", "laser.matrix=fc_in")


@pytest.fixture
def model(gptj: Path) -> list[str]:
    return ["model=local", f"model.path={gptj}"]


def test_a_whitened_edit_is_recorded_and_done_again_bit_for_bit(
    evaluate: Callable[..., Any], model: list[str], files: dict[str, list[str]]
) -> None:
    data = files["text"]
    first = evaluate(*model, *data, *EDIT, "laser.rank=3", "laser.decomposition=whitened")
    (edit,) = first.record["edits"]
    assert (edit["decomposition"], edit["rank"], edit["blocks"]) == ("whitened", 3, None)
    assert 0 < edit["output_error"] < edit["relative_error"] * 2
    assert len(edit["calibration"]) == 32
    assert (first.folder / "stack.bases").is_file()
    again = evaluate(*model, *data, "laser=file", f"laser.path={first.folder / 'stack.yaml'}")
    assert again.record["config_hash"] == first.record["config_hash"]
    assert again.record["edits"] == first.record["edits"]
    pd.testing.assert_frame_equal(again.predictions, first.predictions)
    assert "rank 3 of 32 whitened" in (first.folder / "report.html").read_text()


def test_what_it_is_calibrated_on_tells_runs_apart(
    evaluate: Callable[..., Any], model: list[str], files: dict[str, list[str]]
) -> None:
    whitened = (*EDIT, "laser.rank=3", "laser.decomposition=whitened")
    own = evaluate(*model, *files["token"], *whitened)
    fewer = evaluate(*model, *files["token"], *whitened, "laser.calibration.tokens=6")
    name, path = (text.split("=", 1)[1] for text in files["text"][:2])
    other = evaluate(
        *(*model, *files["token"], *whitened),
        *(f"laser.calibration.data={name}", f"laser.calibration.path={path}"),
    )
    plain = evaluate(*model, *files["token"], *EDIT, "laser.rank=3")
    assert len({run.record["config_hash"] for run in (own, fewer, other, plain)}) == 4
    assert plain.record["edits"][0]["decomposition"] is None
    assert any("a ridge stands in" in note for note in fewer.record["warnings"])


@pytest.mark.parametrize("named", [False, True])
def test_only_the_validation_split_calibrates(
    evaluate: Callable[..., Any],
    model: list[str],
    files: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    named: bool,
) -> None:
    tasks: list[Any] = []
    draws: list[Any] = []
    calibration_of, drawn = calibration.calibration_of, calibration.drawn
    monkeypatch.setattr(
        calibration, "calibration_of", lambda *given: (tasks.append(given[0]), calibration_of(*given))[1]
    )
    monkeypatch.setattr(calibration, "drawn", lambda *given: (draws.append(given), drawn(*given))[1])
    name, path = (text.split("=", 1)[1] for text in files["text"][:2])
    other = (f"laser.calibration.data={name}", f"laser.calibration.path={path}") if named else ()
    whitened = (*EDIT, "laser.rank=3", "laser.decomposition=whitened", "seed=3")
    evaluate(*model, *files["text"], *whitened, *other)
    ((sequences, _, seed),) = draws
    splits = {split: {request.tokens for request in tasks[0].parts[split].requests} for split in ("validation", "test")}
    assert set(sequences) == splits["validation"]
    assert not set(sequences) & splits["test"]
    assert seed == 3


def test_the_evaluated_text_under_another_name_is_split_as_it_is_evaluated(
    evaluate: Callable[..., Any], model: list[str], files: dict[str, list[str]]
) -> None:
    whitened = (*EDIT, "laser.rank=3", "laser.decomposition=whitened")
    own = [*model, *files["text"], "data.window=24", *whitened]
    name, path = (text.split("=", 1)[1] for text in files["text"][:2])
    runs = [evaluate(*own), evaluate(*own, f"laser.calibration.data={name}", f"laser.calibration.path={path}")]
    assert len({run.record["edits"][0]["calibration"] for run in runs}) == 1


def test_blocks_of_one_score_as_a_plain_edit_does(
    evaluate: Callable[..., Any], model: list[str], files: dict[str, list[str]]
) -> None:
    runs = [evaluate(*model, *files["token"], *EDIT, "laser.rank=3", *how) for how in ((), blocks(1), blocks(4))]
    pd.testing.assert_frame_equal(runs[0].predictions, runs[1].predictions)
    assert runs[2].record["edits"][0]["blocks"] == 4
    assert runs[2].record["edits"][0]["relative_error"] < runs[0].record["edits"][0]["relative_error"]


def blocks(count: int) -> tuple[str, str]:
    return "laser.decomposition=blocks", f"laser.blocks={count}"


@pytest.mark.parametrize("driver", ["grid", "racing", "optuna", "gradient", "greedy"])
@pytest.mark.parametrize("how", ["whitened", "blocks"])
def test_every_search_takes_them(
    evaluate: Callable[..., Any], model: list[str], files: dict[str, list[str]], driver: str, how: str
) -> None:
    typed = [f"search={driver}", f"search.decomposition={how}", *(["search.blocks=2"] if how == "blocks" else [])]
    typed += ["search.matrices=[fc_in,q_proj]", "search.rank=[1,4]", "search.trials=6", "search.verify=3"]
    run = evaluate(*model, *files["text"], *typed)
    cells = pd.read_parquet(run.folder / "cells.parquet")
    assert len(cells) >= 2
    assert cells["error"].isna().all()
    assert cells["edits"].str.contains("whitened" if how == "whitened" else "in 2 blocks").all()
    for edit in run.record["edits"]:
        assert edit["decomposition"] == how
    again = evaluate(*model, *files["text"], *typed)
    assert again.record["edits"] == run.record["edits"]


def test_a_guard_measures_whitened_stacks(
    evaluate: Callable[..., Any], model: list[str], files: dict[str, list[str]]
) -> None:
    name, path = (text.split("=", 1)[1] for text in files["text"][:2])
    guard = [f"search.guard.data={name}", f"search.guard.path={path}", "search.guard.limit=100"]
    guard += ["search.guard.window=8", "search.guard.tokens=400"]
    grid = ["search=grid", "search.decomposition=whitened", "search.matrices=fc_in", "search.rank=[1,4]"]
    run = evaluate(*model, *files["text"], *grid, *guard)
    if run.record["edits"]:
        assert run.record["search"]["guard"]["mean"] >= 0


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["laser.rank=3", "laser.calibration.tokens=9"], "laser.calibration would count for nothing"),
        (["laser.rank=3", "laser.decomposition=whitened", "laser.calibration.path=x"], "say what it is too"),
        (["laser.rank=3", "laser.blocks=4"], "say decomposition=blocks"),
        (["laser.rank=3", "laser.decomposition=blocks", "laser.blocks=7"], "7 blocks for layer 1 fc_in"),
    ],
)
def test_wrong_ones_are_told(
    command: Callable[..., Any], model: list[str], files: dict[str, list[str]], typed: list[str], says: str
) -> None:
    said: Any = command(*model, *files["text"], *EDIT, *typed, "logger=none")
    assert said.code == 2 or said.code not in (0, None)
    assert says in " ".join(said.err.split())


def test_a_search_may_be_calibrated_on_another_text_and_nothing_else_of_laser(
    command: Callable[..., Any], model: list[str], files: dict[str, list[str]]
) -> None:
    grid = ["search=grid", "search.matrices=fc_in", "search.rank=[4]", "logger=none", "trainer.progress_bar=false"]
    fewer = "laser.calibration.tokens=64"
    said = command(*model, *files["text"], *grid, "search.decomposition=whitened", fewer)
    assert said.code in (0, None), said.err
    said = command(*model, *files["text"], *grid, fewer)
    assert "laser.calibration.tokens=64 would count for nothing" in " ".join(said.err.split())
