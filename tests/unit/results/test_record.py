import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from laser_lit.errors import InputError
from laser_lit.results.compare import compare
from laser_lit.results.record import (
    AppliedEdit,
    Control,
    Record,
    SplitResult,
    StackSource,
    jsonable,
    read_record,
    record_from_dict,
)


@pytest.fixture
def record(tables) -> Record:
    metrics = {"accuracy": 0.5, "log_loss": np.float32(2.0), "n": np.int64(120), "majority_accuracy": 0.1, "f1": np.nan}
    result = SplitResult(base=metrics, laser={**metrics, "accuracy": 0.7}, gain=compare(*tables()))
    edit = AppliedEdit(2, "fc_in", "transformer.h.2.mlp.fc_in.weight", 1, 0.015, "low_rank", 0.43, d=64)
    return Record(
        task="language",
        model={"id": "facts", "revision": None, "dtype": "float32", "parameters": 1000},
        data={"name": "facts", "revision": "abc", "n_validation": 30, "n_test": 120},
        edits=(edit,),
        test=result,
        validation=result,
        config_hash="0123abcd",
        stack=StackSource("typed"),
        controls=(Control("zeroed MLP", "layer 2", 0.4),),
        test_opened=1,
        warnings=("one",),
        seconds={"base": 1.5},
        config={"path": Path("x"), "set": {2, 1}, "inf": math.inf},
    )


def test_file_has_the_schemas_entries_and_no_nan(record: Record, tmp_path: Path):
    record.save(tmp_path / "result.json")
    text = (tmp_path / "result.json").read_text()
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(content)[:2] == ["schema", "task"]
    assert content["base"]["f1"] is None
    assert content["base"]["n"] == 120
    assert content["config"] == {"path": "x", "set": [1, 2], "inf": None}
    assert {"layer", "matrix", "name", "rank", "rho", "kind", "relative_error"} <= set(content["edits"][0])
    assert {"accuracy", "ci95", "p", "n_groups", "mcnemar_p", "fixed", "broken"} <= set(content["gain"])
    assert content["validation"]["gain"]["accuracy"] == content["gain"]["accuracy"]
    assert {"model", "data", "laser", "seconds", "versions", "git", "config_hash"} <= set(content)


def test_reading_back_gives_the_same_record(record: Record, tmp_path: Path):
    record.save(tmp_path / "result.json")
    again = read_record(tmp_path)
    assert again == read_record(tmp_path / "result.json")
    assert again.to_dict() == record.to_dict()
    assert again.test.gain == record.test.gain
    assert again.edits == record.edits


def test_a_run_without_edits_has_no_laser(record: Record):
    alone = dataclasses.replace(record, edits=(), test=SplitResult(base={"accuracy": 0.5}), validation=None, stack=None)
    assert record_from_dict(alone.to_dict()).to_dict() == alone.to_dict()
    assert alone.to_dict()["laser"] is None


def test_wrong_records_say_what_is_wrong(record: Record, tmp_path: Path):
    content = record.to_dict()
    with pytest.raises(InputError, match="give the folder of a finished run"):
        read_record(tmp_path)
    (tmp_path / "result.json").write_text('{"schema": 1, "task"')
    with pytest.raises(InputError, match="is not JSON"):
        read_record(tmp_path)
    for wrong, message in (
        ([], "no entry `schema`"),
        ({**content, "schema": 99}, "has schema 99, this version reads"),
        ({key: value for key, value in content.items() if key != "gain"}, "lacks the entry 'gain'"),
        ({**content, "model": {"id": "x"}}, "'model.dtype'"),
        ({**content, "edits": [{"layer": 1}]}, "wrong kind"),
        ({**content, "edits": 3}, "wrong kind"),
        ({**content, "base": "high"}, "wrong kind"),
    ):
        with pytest.raises(InputError, match=message):
            record_from_dict(wrong)


def test_jsonable_turns_everything_missing_into_null():
    values = [pd.NaT, pd.NA, np.nan, np.inf, -math.inf, np.array([1.0, np.nan]), np.bool_(True), (1, 2)]
    assert jsonable(values) == [None, None, None, None, None, [1.0, None], True, [1, 2]]
