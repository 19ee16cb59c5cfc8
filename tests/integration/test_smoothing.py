"""`laser=svd_smoothing` through the real configs and the real command."""

import yaml

from laser_lit.results.record import read_record


def test_every_matrix_is_smoothed_and_the_record_says_by_what(evaluate, gptj, files):
    line = ("model=local", f"model.path={gptj}", *files["text"], "laser=svd_smoothing", "laser.method=detX")
    run = evaluate(*line, "laser.layer=all", "laser.matrix=all")
    edits = run.record["edits"]
    assert len(edits) == 18
    assert all(edit["kind"] == "low_rank" and 1 <= edit["rank"] < 32 for edit in edits)
    assert run.record["stack"]["provenance"] == "WeightWatcher's SVDSmoothing, method detX"
    assert run.record["config"]["laser"]["method"] == "detX"
    again = evaluate(*line[:-2], "laser=file", f"laser.path={run.folder / 'stack.yaml'}")
    assert again.record["laser"] == run.record["laser"]
    assert evaluate(*line).record["config_hash"] == run.record["config_hash"]  # all is what smoothing does unasked


def test_what_has_no_spikes_stays_and_is_named(command, gptj, files, tmp_path):
    folder = tmp_path / "run"
    line = ("model=local", f"model.path={gptj}", *files["text"], "laser=svd_smoothing", "laser.method=rmt")
    said = command(*line, f"paths.output={folder}", "logger=none")
    assert said.code == 0, said.err
    record = read_record(folder)
    (note,) = [note for note in record.warnings if note.startswith("left as they are, since rule ww_rmt")]
    named = note.partition("keep in them: ")[2].split(", ")
    assert len(named) + len(record.edits) == 18
    assert len(yaml.safe_load((folder / "stack.yaml").read_text())["edits"]) == len(record.edits) > 0


def test_an_unknown_method_is_an_error(command, gptj, files):
    said = command("model=local", f"model.path={gptj}", *files["text"], "laser=svd_smoothing", "laser.method=bogus")
    assert said.code == 1
    assert "unknown laser.method 'bogus'; allowed: detX, alpha_min, rmt, auto, svd" in said.err
