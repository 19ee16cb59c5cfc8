"""What a run computes and leaves behind, on small models and data."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from laser_lit.edits import stack as stacks
from laser_lit.models.load import load_weights
from laser_lit.results.record import read_record

EDIT = ("laser=single", "laser.layer=1", "laser.matrix=fc_in", "laser.rank=2")
FILES = {"result.json", "predictions.parquet", "stack.yaml", "report.html"}


def numbers(run):
    """Returns the per-example table and every metric of a run."""
    record = run.record
    return run.predictions, {name: record[name] for name in ("base", "laser", "gain", "validation", "edits")}


def assert_same_numbers(one, two):
    """Asserts identical correctness and predictions, and log losses within 1e-5."""
    (table, _), (other, _) = numbers(one), numbers(two)
    pd.testing.assert_frame_equal(table, other, rtol=0, atol=1e-5)
    for who in ("base", "laser"):
        assert table[f"{who}_correct"].equals(other[f"{who}_correct"])


def test_a_run_leaves_a_record_as_designed(evaluate, local, gptj):
    run = evaluate(*local)
    assert {path.name for path in run.folder.iterdir()} == FILES
    record = run.record
    assert record["schema"] == 1
    assert record["task"] == "language"
    assert record["model"]["id"] == "gptj"
    assert record["model"]["revision"] is None
    assert record["model"]["dtype"] == "float32"
    assert record["model"]["parameters"] == load_weights(gptj).num_parameters()
    assert record["data"]["name"] == "counterfact"
    edit = record["edits"][0]
    assert (edit["layer"], edit["matrix"], edit["rank"], edit["kind"]) == (1, "fc_in", 3, "low_rank")
    assert edit["name"] == "transformer.h.1.mlp.fc_in.weight"
    assert edit["rho"] == pytest.approx(3 / 32)
    assert 0 < edit["relative_error"] < 1
    for who in ("base", "laser"):
        assert {"accuracy", "log_loss", "n", "majority_accuracy"} <= record[who].keys()
    assert {"accuracy", "ci95", "p", "n_groups", "mcnemar_p", "fixed", "broken"} <= record["gain"].keys()
    assert record["seconds"].keys() == {"base", "laser", "controls", "analyses"}
    assert record["analyses"]["mechanism"]["gain"]["n"] == record["data"]["n_test"]
    assert {"shift_correct", "shift_prediction"} <= set(run.predictions.columns)
    assert {"torch", "transformers", "lightning", "python"} <= record["versions"].keys()
    assert record["config"]["laser"]["rank"] == 3
    assert len(record["config_hash"]) == 16
    assert read_record(run.folder).to_dict() == record


def test_the_table_has_a_row_an_example_and_the_metrics_come_from_it(evaluate, local):
    run = evaluate(*local)
    table, record = run.predictions, run.record
    assert table["id"].is_unique
    for split, result in (("test", record), ("validation", record["validation"])):
        rows = table[table["split"] == split]
        assert len(rows) == record["data"][f"n_{split}"] == result["base"]["n"]
        for who in ("base", "laser"):
            assert result[who]["accuracy"] == rows[f"{who}_correct"].astype(float).mean()
            assert result[who]["log_loss"] == pytest.approx(rows[f"{who}_log_loss"].mean(), abs=1e-12)
    assert set(table[table["split"] == "test"]["group"]).isdisjoint(table[table["split"] == "validation"]["group"])
    assert run.objective == record["validation"]["laser"]["accuracy"]
    assert not np.allclose(table["base_log_loss"], table["laser_log_loss"])


def test_the_page_holds_what_the_record_says(evaluate, local):
    run = evaluate(*local)
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert run.record["config_hash"] in page
    assert "layer 1 fc_in" in page


@pytest.mark.parametrize("kind", ["token", "choice", "generate", "text"])
def test_batch_size_and_padding_change_nothing(evaluate, gptj, files, kind):
    edit = ["laser=single", "laser.layer=1", "laser.matrix=mlp", "laser.rank=3"]
    line = ["model=local", f"model.path={gptj}", *files[kind], *edit, "controls=false"]
    first = evaluate(*line, "batch_size=64")
    for number, changed in enumerate((["batch_size=1"], ["batch_size=7", "padding=left"], ["padding=left"])):
        other = evaluate(*line, *changed, f"paths.results=fresh{number}")
        assert_same_numbers(first, other)
        assert other.record["config_hash"] == first.record["config_hash"]


@pytest.mark.parametrize("amount", ["rank=3", "rho=0.1", "rule=energy:0.5", "kind=zero"])
def test_a_manifest_does_the_same_again(evaluate, local, amount):
    first = evaluate(*local[:-1], "laser.matrix=mlp", f"laser.{amount}", "controls=false")
    again = evaluate(*local[:-4], "laser=file", f"laser.path={first.folder / 'stack.yaml'}", "controls=false")
    pd.testing.assert_frame_equal(first.predictions, again.predictions)
    for name in ("base", "laser", "gain", "validation"):
        assert first.record[name] == again.record[name]
    for one, other in zip(first.record["edits"], again.record["edits"], strict=True):
        assert {**one, "rho": None} == {**other, "rho": None}
    assert again.record["config_hash"] == first.record["config_hash"]
    assert "re-applied from" in again.record["stack"]["provenance"]


def test_a_run_folder_serves_as_a_stack(evaluate, local):
    first = evaluate(*local)
    again = evaluate(*local[:-4], "laser=stack_top3", f"laser.from={first.folder}")
    pd.testing.assert_frame_equal(first.predictions, again.predictions)


def test_without_edits_there_is_no_stack_and_no_gain(evaluate, local):
    run = evaluate(*local[:-4], "laser=none")
    assert {path.name for path in run.folder.iterdir()} == FILES - {"stack.yaml"}
    assert run.record["edits"] == []
    assert run.record["laser"] is run.record["gain"] is run.record["stack"] is None
    assert run.objective == run.record["validation"]["base"]["accuracy"]
    assert run.record["controls"] == []


def test_the_base_is_scored_once_for_all_edits(evaluate, local, monkeypatch):
    from laser_lit.tasks.language import LanguageTask

    scored = []
    score = LanguageTask.score
    monkeypatch.setattr(
        LanguageTask, "score", lambda self, stack, split: scored.append(stack) or score(self, stack, split)
    )
    first = evaluate(*local, "controls=false")
    assert scored.count(None) == 2
    second = evaluate(*local, "controls=false", "laser.rank=5")
    assert scored.count(None) == 2
    assert second.record["base"] == first.record["base"]
    assert [run.record["test_opened"] for run in (first, second)] == [1, 2]
    evaluate(*local, "controls=false", "seed=1")  # another split
    assert scored.count(None) == 4


def test_the_same_seed_gives_the_same_record(evaluate, local):
    varying = ("seconds", "test_opened", "config")
    records = [evaluate(*local, f"paths.results=fresh{i}").record for i in (0, 1)]
    one, two = ({name: entry for name, entry in record.items() if name not in varying} for record in records)
    assert one == two


def test_the_weights_are_back_after_every_score(evaluate, local, monkeypatch):
    seen = []
    write = stacks.Stack.applied

    def applied(self, model, offload=False):
        seen.append(model)
        return write(self, model, offload)

    monkeypatch.setattr(stacks.Stack, "applied", applied)
    evaluate(*local)
    path = next(argument for argument in local if argument.startswith("model.path=")).removeprefix("model.path=")
    fresh = dict(load_weights(path).named_parameters())
    handles = list(seen[0].values())
    assert len(seen) >= 2
    assert all(torch.equal(handle.parameter, fresh[handle.name]) for handle in handles)


AMOUNTS = {
    "rho": ["laser.rho=0.5"],
    "rank": ["laser.rank=16"],
    "rate": ["laser.rate=5"],
    "rule": ["laser.rule=energy:0.5"],
    "high_order": ["laser.rank=16", "laser.kind=high_order"],
    "prune": ["laser.rho=0.25", "laser.kind=prune"],
    "zero": ["laser.kind=zero"],
    "randomized": ["laser.rank=16", "laser.svd.method=randomized"],
}


def test_every_kind_and_amount(evaluate, local):
    line = [*local[:-4], "controls=false", "laser=single", "laser.layer=-1", "laser.matrix=out_proj"]
    records = {name: evaluate(*line, *amount).record for name, amount in AMOUNTS.items()}
    edits = {name: record["edits"][0] for name, record in records.items()}
    assert edits["rho"] == edits["rank"] == edits["rate"]
    assert edits["rho"]["rank"] == 16
    low, high = (edits[name]["relative_error"] for name in ("rank", "high_order"))
    assert low**2 + high**2 == pytest.approx(1, abs=1e-5)
    assert 1 <= edits["rule"]["rank"] < 16
    assert edits["prune"]["rank"] is None
    assert edits["prune"]["rho"] == 0.25
    assert edits["zero"]["relative_error"] == 1
    assert edits["randomized"]["relative_error"] == pytest.approx(low, rel=0.2)
    assert edits["randomized"]["relative_error"] >= low - 1e-9
    hashes = {name: record["config_hash"] for name, record in records.items()}
    assert hashes["rho"] == hashes["rank"] == hashes["rate"]
    assert len(set(hashes.values())) == len(hashes) - 2
    for record in records.values():
        assert record["edits"][0]["layer"] == 2
        assert any("layer=all" in warning for warning in record["warnings"])


def test_layers_and_groups(evaluate, local):
    line = [*local[:-4], "controls=false", "laser=single", "laser.rank=2"]
    everything = evaluate(*line, "laser.layer=all", "laser.matrix=all").record["edits"]
    assert len(everything) == 3 * 6
    assert evaluate(*line, "laser.layer=all", "laser.matrix=all").record["warnings"] == []
    some = evaluate(*line, "laser.layer=[0,-1]", "laser.matrix=[W_q,U_out]").record
    assert [(edit["layer"], edit["matrix"]) for edit in some["edits"]] == [
        (0, "q_proj"),
        (0, "fc_out"),
        (2, "q_proj"),
        (2, "fc_out"),
    ]
    assert len(some["warnings"]) == 1
    several = "laser.edits=[{layer: 2, matrix: fc_in, rank: 1}, {layer: 1, matrix: attn, rho: 0.5}]"
    ranks = [(edit["layer"], edit["rank"]) for edit in evaluate(*line[:-1], several).record["edits"]]
    assert ranks == [(2, 1), *[(1, 16)] * 4]


def test_choices_by_the_mean_of_their_tokens(evaluate, gptj, files):
    line = ["model=local", f"model.path={gptj}", *files["choice"], "laser=none"]
    summed, mean = evaluate(*line), evaluate(*line, "normalize_choices=true")
    assert set(summed.predictions["base_prediction"]) == {"w3"}  # a single token has the larger sum
    assert len(set(mean.predictions["base_prediction"])) > 1
    assert summed.record["config_hash"] != mean.record["config_hash"]


def test_a_matrix_listed_twice(evaluate, local):
    twice = "laser.edits=[{layer: 1, matrix: fc_in, rank: 5}, {layer: 1, matrix: fc_in, rank: 2}]"
    line = [*local[:-4], "controls=false", "laser=single", twice]
    last = evaluate(*line, "laser.combine=last").record["edits"]
    assert [edit["rank"] for edit in last] == [2]
    run = evaluate(*line, "laser.combine=in_order")
    assert [edit["rank"] for edit in run.record["edits"]] == [5, 2]
    again = evaluate(*local[:-4], "controls=false", "laser=file", f"laser.path={run.folder / 'stack.yaml'}")
    pd.testing.assert_frame_equal(run.predictions, again.predictions)


def test_controls_stand_beside_the_edit(evaluate, local):
    run = evaluate(*local, "controls=true")
    names = [control["name"] for control in run.record["controls"]]
    assert len(set(names)) == len(names) == 6
    assert {"batch calibration", "pruned to equal storage", "same matrices zeroed"} <= set(names)
    assert all(0 <= control["accuracy"] <= 1 for control in run.record["controls"])
    assert evaluate(*local, "controls=false").record["controls"] == []
    assert [c["name"] for c in evaluate(*local).record["controls"]] == names
    assert json.loads((run.folder / "result.json").read_text())["controls"] == run.record["controls"]


def test_shifted_choices_have_no_log_loss(evaluate, gptj, files):
    run = evaluate("model=local", f"model.path={gptj}", *files["choice"], *EDIT)
    controls = {control["name"]: control["log_loss"] for control in run.record["controls"]}
    assert controls["batch calibration"] is controls["token bias"] is None
    assert controls["same matrices zeroed"] > 0
    assert run.record["analyses"]["mechanism"]["gain"]["log_loss"] is None
    assert run.predictions["shift_log_loss"].isna().all()
    assert run.predictions["shift_correct"].notna().all()
