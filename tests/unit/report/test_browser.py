import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from browsing import FIRST, browse

from laser_lit.report.__main__ import main
from laser_lit.report.html import render_html
from laser_lit.results.predictions import predictions_table
from laser_lit.results.record import Record
from laser_lit.results.reft_result import ReftResult, ReftSplit

PROBE = """
<script>
(() => {
  const steps = [], $ = (id) => document.getElementById(id);
  window.addEventListener("error", (event) => steps.push(["error", event.message]));
  const note = (name) => steps.push([name, $("examples-count").textContent, $("examples-rows").tBodies[0].rows.length,
    $("examples-rows").tBodies[0].textContent.slice(0, 200)]);
  const set = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("input")); };
  const press = (value) => [...$("outcomes").children].find((button) => button.value === value).click();
  note("start");
  $("outcomes").firstElementChild.click(); note("all");
  $("examples-next").click(); note("next");
  $("examples-previous").click(); note("previous");
  set("split", "validation"); note("validation");
  set("split", ""); set("search", "subject7 Greek"); note("search");
  set("search", "nothing like this"); note("none");
  set("search", ""); set("order", "gain"); note("gain");
  steps.push(["headings", [...$("examples-rows").tHead.rows[0].cells].map((cell) => cell.textContent)]);
  const seen = (id) => $(id).getClientRects().length > 0;
  steps.push(["seen", seen("browser"), seen("order"), seen("outcomes")]);
  const lines = [...$("examples-rows").tBodies[0].rows];
  steps.push(["changes", lines.slice(0, 2).map((row) => row.lastElementChild.textContent)]);
  steps.push(["elements", document.querySelectorAll("#examples-rows b").length]);
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify(steps);
  document.body.append(probe);
})();
</script>
"""


SEARCH_PROBE = """
<script>
setTimeout(() => {
  const $ = (id) => document.getElementById(id);
  const plots = [...document.querySelectorAll(".canvas")];
  const set = (element, value) => { element.value = value; element.dispatchEvent(new Event("input")); };
  const map = () => JSON.stringify($("plot-map").data.map((trace) => trace.z || null));
  const rows = () => [...$("cells-rows").tBodies[0].rows].map((row) => row.cells[0].textContent);
  steps.push(["drawn", plots.map((plot) => [plot.id, plot.querySelectorAll(".trace, .hm").length > 0])]);
  steps.push(["images", $("plot-map").querySelectorAll(".hm image").length]);
  steps.push(["named", JSON.stringify(plots.map((plot) => [plot.data, plot.layout])).includes('"--')]);
  const [ranks, , matrices] = document.querySelectorAll(".plot select");
  steps.push(["options", [ranks, matrices].map((menu) => [...menu.options].map((option) => option.textContent))]);
  const before = map();
  set(ranks, "2"); steps.push(["changed", map() !== before]);
  set(ranks, "0"); steps.push(["back", map() === before]);
  set(matrices, "1");
  steps.push(["shown", [...new Set($("plot-ranks").data.filter((trace) => trace.visible).map((trace) => trace.meta))]]);
  steps.push(["table", $("cells-count").textContent, rows().length, rows()[0]]);
  const head = [...$("cells-rows").tHead.rows[0].cells];
  const by = (name) => head.find((cell) => cell.textContent === name);
  by("accuracy, points").firstElementChild.click(); by("accuracy, points").firstElementChild.click();
  steps.push(["sorted", by("accuracy, points").getAttribute("aria-sort"), rows()[0]]);
  set($("cells-search"), " Layer 1 FC_IN"); steps.push(["found", $("cells-count").textContent]);
  $("cells-search").value = ""; $("cells-search").dispatchEvent(new Event("input"));
  $("cells-next").click(); steps.push(["next", $("cells-count").textContent]);
  steps.push(["elements", document.querySelectorAll("#cells-rows b").length]);
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify(steps);
  document.body.append(probe);
}, 5000);
</script>
"""
PARAMETERS_PROBE = """
<script>
setTimeout(() => {
  const count = (what) => document.querySelectorAll("#plot-parameters-0 " + what).length;
  steps.push(["drawn", count(".point"), count(".yerror")]);
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify(steps);
  document.body.append(probe);
}, 5000);
</script>
"""


@pytest.mark.browser
def test_examples_are_filtered_searched_paged_and_never_run(record: Record, predictions: pd.DataFrame, tmp_path: Path):
    seen = browse(render_html(record, predictions), tmp_path, PROBE)
    assert "error" not in seen
    test = predictions[predictions["split"] == "test"]
    assert seen["start"][:2] == ["1–100 of 162", 100]
    assert seen["all"][:2] == [f"1–100 of {len(test)}", 100]
    assert seen["next"][0] == f"101–200 of {len(test)}"
    assert seen["previous"] == seen["all"]
    assert seen["validation"][0] == "1–100 of 150"
    texts = (
        predictions[["prompt", "group", "answer", "base_prediction", "laser_prediction"]]
        .agg("\n".join, axis=1)
        .str.lower()
    )
    expected = (texts.str.contains("subject7") & texts.str.contains("greek")).sum()
    assert seen["search"][1] == expected > 0
    assert seen["none"][:2] == ["No example matches.", 0]
    assert seen["headings"][0][1:5] == ["prompt", "gold answer", "base says", "LASER says"]
    assert "Subject" in seen["all"][2]
    assert "<b>lives</b>" in seen["all"][2]
    assert seen["elements"] == [0]
    assert seen["seen"] == [True, True, True]


@pytest.mark.browser
def test_a_missing_log_loss_has_no_change(record: Record, predictions: pd.DataFrame, tmp_path: Path):
    few = (
        predictions[predictions["split"] == "test"].head(2).assign(base_log_loss=[1.0, 1.0], laser_log_loss=[None, 2.5])
    )
    assert browse(render_html(record, few), tmp_path, PROBE)["changes"] == [["+1.500", ""]]


@pytest.mark.browser
def test_text_without_edits_shows_neither_outcomes_nor_an_order(
    record: Record, predictions: pd.DataFrame, tmp_path: Path
):
    kept = [name for name in predictions if not name.startswith("laser_")]
    text = predictions[kept].assign(base_correct=None)
    seen = browse(render_html(record, text), tmp_path, PROBE)
    assert "error" not in seen
    assert seen["seen"] == [True, False, False]
    assert seen["headings"][0][0] == "prompt"


@pytest.mark.browser
def test_tens_of_thousands_of_examples_open(record: Record, outcomes, tmp_path: Path):
    base, laser = (pd.concat([table] * 40, ignore_index=True) for table in outcomes["test"])
    ids = [f"e{row}" for row in range(len(base))]
    many = predictions_table({"test": (base.assign(id=ids), laser.assign(id=ids))})
    seen = browse(render_html(record, many).replace('set("split", "validation");', ""), tmp_path, PROBE)
    assert "error" not in seen
    assert seen["all"][:2] == ["1–100 of 24,000", 100]


@pytest.mark.browser
def test_figures_are_drawn_selected_and_the_cells_sorted(
    searched: Record, predictions: pd.DataFrame, cells: pd.DataFrame, tmp_path: Path
):
    text = render_html(searched, predictions, cells=cells).replace("<main>", f"{FIRST}<main>")
    seen = browse(text, tmp_path, SEARCH_PROBE)
    assert not {"error", "refused"} & set(seen)
    assert seen["drawn"][0] == [[f"plot-{name}", True] for name in ("map", "ranks", "removable", "predicted", "cost")]
    assert seen["images"] == [2]
    assert seen["named"] == [False]
    ranks, matrices = seen["options"][0]
    assert ranks == ["best of all", "rank 1", "rank 6", "rank 12", "rank 51"]
    assert len(matrices) == 6
    assert seen["changed"] == seen["back"] == [True]
    assert seen["shown"] == [[matrices[1]]]
    best = cells.loc[cells["gain_accuracy"].idxmax(), "edits"]
    scored = cells[cells["error"].isna()]
    assert seen["table"] == ["1–20 of 72", 20, best]
    assert seen["sorted"] == ["ascending", scored.loc[scored["gain_accuracy"].idxmin(), "edits"]]
    assert seen["found"] == ["1–4 of 4"]
    assert seen["next"] == ["21–40 of 72"]
    assert seen["elements"] == [0]


@pytest.mark.browser
def test_scores_against_parameters_are_drawn(record: Record, tmp_path: Path):
    own = ReftSplit(record.test.laser, record.test.gain, record.test.laser, record.test.gain)
    for run, parameters in (("0", 100), ("1", 3000)):
        reft = ReftResult("ReFT", "a", run, ("loreft",), parameters, 1.0, own, own)
        dataclasses.replace(record, reft=reft).save(tmp_path / run / "result.json")
    assert main([str(tmp_path)]) == 0
    text = (tmp_path / "report.html").read_text().replace("<main>", f"{FIRST}<main>")
    seen = browse(text, tmp_path, PARAMETERS_PROBE)
    assert not {"error", "refused"} & set(seen)
    assert seen["drawn"] == [4, 4]
