"""`evaluate.py reft.path=`: base, LASER, ReFT or a LoRA, and both, through the command's own config."""

import json
from pathlib import Path

import pytest
from interventions import saved_lora, saved_reft, strong

from laser_lit.lit.trained_model import RECORD
from laser_lit.models.load import load_weights
from laser_lit.reft.saving import save_reft
from laser_lit.results.compare import compare
from laser_lit.results.record import read_record
from laser_lit.results.reft_result import ReftResult

GAINS = ("gain", "laser_reft_gain", "over_laser", "over_reft")
PAIRS = {
    "gain": ("base", "reft"),
    "laser_reft_gain": ("base", "laser_reft"),
    "over_laser": ("laser", "laser_reft"),
    "over_reft": ("reft", "laser_reft"),
}


@pytest.fixture(scope="module")
def reft(gptj, tmp_path_factory):
    """Returns the folder of interventions on the small GPT-J."""
    return saved_reft(gptj, tmp_path_factory.mktemp("trained") / "reft")


@pytest.fixture(scope="module")
def lora(gptj, tmp_path_factory):
    """Returns the folder of a LoRA on the small GPT-J."""
    return saved_lora(gptj, tmp_path_factory.mktemp("trained") / "lora")


def outcomes(table, who):
    """Returns the columns of one variant under the names that the statistics take."""
    names = {f"{who}_correct": "correct", f"{who}_log_loss": "log_loss"}
    return table[["id", "group", *names]].rename(columns=names)


@pytest.mark.parametrize("kind", ["reft", "lora"])
def test_all_four_stand_in_the_record_and_the_table(evaluate, local, kind, reft, lora):
    folder = {"reft": reft, "lora": lora}[kind]
    run = evaluate(*local, f"reft.path={folder}")
    record, table = run.record, run.predictions
    found = record["reft"]
    assert (found["kind"], found["path"]) == ({"reft": "ReFT", "lora": "LoRA"}[kind], str(folder))
    assert found["parameters"] > 0
    assert found["strength"] == 1
    for split in ("test", "validation"):
        rows, own = table[table["split"] == split], found[split]
        for who in ("reft", "laser_reft"):
            assert own[who]["accuracy"] == rows[f"{who}_correct"].astype(float).mean()
            assert own[who]["log_loss"] == pytest.approx(rows[f"{who}_log_loss"].mean(), abs=1e-12)
        for name, (before, after) in PAIRS.items():
            gain = compare(outcomes(rows, before), outcomes(rows, after), seed=record["seed"])
            assert own[name] == json.loads(json.dumps(vars(gain)))
    assert run.objective == found["validation"]["laser_reft"]["accuracy"]
    assert record["seconds"].keys() == {"base", "laser", "reft", "laser_reft", "controls", "analyses"}
    again = read_record(run.folder)
    assert again.to_dict() == record
    assert isinstance(again.reft, ReftResult)
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert f"LASER + {found['kind']} over LASER alone: test accuracy" in page
    assert f"reft.path={folder}" in page


def test_what_is_not_asked_for_is_as_it_was(evaluate, local, reft):
    plain, run = evaluate(*local), evaluate(*local, f"reft.path={reft}")
    for name in ("base", "laser", "gain", "controls", "edits"):
        assert run.record[name] == plain.record[name]
    for name in ("base", "laser", "gain"):
        assert run.record["validation"][name] == plain.record["validation"][name]
    assert plain.record["reft"] is None
    assert not [name for name in plain.predictions if "reft" in name]
    assert run.predictions[plain.predictions.columns].equals(plain.predictions)
    assert run.record["test_opened"] == 2
    assert "ReFT" not in (plain.folder / "report.html").read_text(encoding="utf-8")


def test_without_edits_there_is_the_adapter_alone(evaluate, local, reft):
    run = evaluate(*local[:-4], "laser=none", f"reft.path={reft}")
    own = run.record["reft"]["test"]
    assert own["laser_reft"] is own["laser_reft_gain"] is own["over_laser"] is own["over_reft"] is None
    assert run.record["laser"] is None
    assert run.objective == run.record["reft"]["validation"]["reft"]["accuracy"]
    assert not [name for name in run.predictions if name.startswith("laser")]
    assert read_record(run.folder).to_dict() == run.record


def test_the_hash_holds_content_and_strength_and_not_the_place(evaluate, local, gptj, reft, lora, tmp_path):
    line = [*local[:-4], "laser=none", "controls=false"]
    copy = saved_reft(gptj, tmp_path / "copy")
    typed = {
        "none": [],
        "reft": [f"reft.path={reft}"],
        "copy": [f"reft.path={copy}", "reft.strength=1"],
        "half": [f"reft.path={reft}", "reft.strength=0.5"],
        "lora": [f"reft.path={lora}", "reft=lora"],
    }
    records = {name: evaluate(*line, *more).record for name, more in typed.items()}
    hashes = {name: record["config_hash"] for name, record in records.items()}
    assert hashes["reft"] == hashes["copy"]
    assert len(set(hashes.values())) == 4
    assert records["reft"]["reft"]["test"]["reft"] == records["copy"]["reft"]["test"]["reft"]
    assert records["half"]["reft"]["test"]["reft"] != records["reft"]["reft"]["test"]["reft"]
    assert all(record["base"] == records["none"]["base"] for record in records.values())


@pytest.mark.parametrize("kind", ["choice", "generate", "text"])
def test_every_kind_of_answer(evaluate, gptj, files, kind, reft, lora):
    line = ["model=local", f"model.path={gptj}", *files[kind], "laser=single", "laser.layer=1", "laser.matrix=mlp"]
    for folder in (reft, lora):
        record = evaluate(*line, "laser.rank=3", "controls=false", f"reft.path={folder}").record
        own = record["reft"]["test"]
        assert (own["gain"]["accuracy"] is None) == (kind == "text")
        assert own["gain"]["log_loss"] != 0
        said = [warning for warning in record["warnings"] if "works at tokens of prompts, and text has none" in warning]
        assert len(said) == (folder == reft and kind == "text")


def test_notes_of_what_makes_a_gain_worth_less(evaluate, local, gptj, reft, tmp_path):
    strength = evaluate(*local, "controls=false", f"reft.path={reft}", "reft.strength=0").record["warnings"]
    assert any("changes no score: its strength is 0" in warning for warning in strength)
    other = tmp_path / "other"
    made = strong(load_weights(gptj))
    made.base = type(made.base)(**{**vars(made.base), "id": "some/gpt-j"})
    save_reft(made, other)
    same = next(argument for argument in local if argument.startswith("data.path=")).removeprefix("data.path=")
    cases = (
        *(("all", 0, same, "the test split too"), ("validation", 1, same, "another split")),
        *(("validation", 0, same, "test is unseen"), ("validation", 0, "b.json", "other rows of data=counterfact")),
    )
    for split, seed, path, words in cases:
        data = {"name": "counterfact", "path": path}
        training = {"data": {"split": split}, "config": {"seed": seed, "data": data}}
        (other / RECORD).write_text(json.dumps(training))
        found = evaluate(*local, "controls=false", f"reft.path={other}").record["warnings"]
        assert any(words in warning for warning in found), found
        assert any("was trained on some/gpt-j, not on" in warning for warning in found)


def test_the_command_prints_one_table_and_logs_its_numbers(command, local, reft):
    said = command(*local, "trainer.accelerator=cpu", "trainer.progress_bar=false", "logger=csv", f"reft.path={reft}")
    assert said.code == 0, said.err
    assert "Base, LASER, ReFT, LASER + ReFT: gain over the base on test" in said.out
    for words in ("LASER over the base:", "ReFT over the base:", "LASER + ReFT over ReFT alone:"):
        assert words in said.out
    (file,) = Path("outputs").rglob("metrics.csv")
    head = file.read_text().splitlines()[0].split(",")
    names = ("test/reft/accuracy", "test/reft_gain/p", "test/laser_reft_over_laser/ci95_low", "reft/parameters")
    assert not [name for name in names if name not in head]
