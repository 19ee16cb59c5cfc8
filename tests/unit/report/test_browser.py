import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from laser_lit.report.html import render_html
from laser_lit.results.predictions import predictions_table
from laser_lit.results.record import Record

SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"),
    *("--disable-background-networking", "--disable-sync", "--virtual-time-budget=20000", "--dump-dom"),
)
PROBE = """
<script>
(() => {
  const steps = [], $ = (id) => document.getElementById(id);
  window.addEventListener("error", (event) => steps.push(["error", event.message]));
  const note = (name) => steps.push([name, $("count").textContent, $("rows").tBodies[0].rows.length,
    $("rows").tBodies[0].textContent.slice(0, 200)]);
  const set = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("input")); };
  const press = (value) => [...$("outcomes").children].find((button) => button.value === value).click();
  note("start");
  $("outcomes").firstElementChild.click(); note("all");
  $("next").click(); note("next");
  $("previous").click(); note("previous");
  set("split", "validation"); note("validation");
  set("split", ""); set("search", "subject7 Greek"); note("search");
  set("search", "nothing like this"); note("none");
  set("search", ""); set("order", "gain"); note("gain");
  steps.push(["headings", [...$("rows").tHead.rows[0].cells].map((cell) => cell.textContent)]);
  const seen = (id) => $(id).getClientRects().length > 0;
  steps.push(["seen", seen("browser"), seen("order"), seen("outcomes")]);
  steps.push(["changes", [...$("rows").tBodies[0].rows].slice(0, 2).map((row) => row.lastElementChild.textContent)]);
  steps.push(["elements", document.querySelectorAll("#rows b").length]);
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify(steps);
  document.body.append(probe);
})();
</script>
"""


def browse(text: str, folder: Path) -> dict[str, list[object]]:
    """Returns what the probe saw in a real browser."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on the path")
    page = folder / "report.html"
    page.write_text(text.replace("</body>", f"{PROBE}</body>"))
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [program, *SWITCHES, profile, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    steps = json.loads(unescape(re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.S).group(1)))
    return {name: rest for name, *rest in steps}


@pytest.mark.browser
def test_examples_are_filtered_searched_paged_and_never_run(record: Record, predictions: pd.DataFrame, tmp_path: Path):
    seen = browse(render_html(record, predictions), tmp_path)
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
    assert browse(render_html(record, few), tmp_path)["changes"] == [["", "+1.500"]]


@pytest.mark.browser
def test_text_without_edits_shows_neither_outcomes_nor_an_order(
    record: Record, predictions: pd.DataFrame, tmp_path: Path
):
    kept = [name for name in predictions if not name.startswith("laser_")]
    text = predictions[kept].assign(base_correct=None)
    seen = browse(render_html(record, text), tmp_path)
    assert "error" not in seen
    assert seen["seen"] == [True, False, False]
    assert seen["headings"][0][0] == "prompt"


@pytest.mark.browser
def test_tens_of_thousands_of_examples_open(record: Record, outcomes, tmp_path: Path):
    base, laser = (pd.concat([table] * 40, ignore_index=True) for table in outcomes["test"])
    ids = [f"e{row}" for row in range(len(base))]
    many = predictions_table({"test": (base.assign(id=ids), laser.assign(id=ids))})
    seen = browse(render_html(record, many).replace('set("split", "validation");', ""), tmp_path)
    assert "error" not in seen
    assert seen["all"][:2] == ["1–100 of 24,000", 100]
