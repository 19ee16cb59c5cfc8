"""A scan as a page, as figures, on the terminal and on W&B."""

import io
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from families import FAMILIES
from rich.console import Console
from torch import nn

from laser_lit import scan
from laser_lit.report.scan_figures import chosen_spectra, density_figure, scan_figures
from laser_lit.report.scan_page import render_scan, write_scan_page
from laser_lit.report.scan_summary import kinds, left_out, render_summary
from laser_lit.report.scan_wandb import log_scan
from laser_lit.spectral.density import BINS

NAME = "<i>model</i> & co"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return scan(FAMILIES["llama"]())


def printed(table: pd.DataFrame, files: list[Path] = []) -> str:  # noqa: B006
    console = Console(file=io.StringIO(), width=100)
    console.print(render_summary(table, NAME, files))
    return console.file.getvalue()


def test_a_line_a_type_with_extremes_and_shares(table: pd.DataFrame) -> None:
    found = {kind.name: kind for kind in kinds(table)}
    assert list(found)[:2] == ["q_proj (self_attn.q_proj)", "k_proj (self_attn.k_proj)"]
    assert found["lm_head"].count == 1
    rows = table[table["matrix"] == "fc_in"]
    highest = rows.loc[rows["snr_ratio"].idxmax()]
    assert found["fc_in (mlp.gate_proj)"].high == f"{highest['snr_ratio']:.3g} at {highest['layer']}"
    shares = rows["energy_rank_95"].astype(float) / 16
    assert found["fc_in (mlp.gate_proj)"].kept[3] == f"{100 * shares.median():.0f} %"


def test_an_infinite_snr_is_the_highest(table: pd.DataFrame) -> None:
    changed = table.copy()
    place = changed.index[changed["matrix"] == "fc_in"][1]
    changed.loc[place, ["snr", "snr_ratio"]] = None
    changed.loc[place, "snr_is_infinite"] = True
    (kind,) = [kind for kind in kinds(changed) if kind.name.startswith("fc_in")]
    assert kind.high == "∞ at 1"
    assert kind.low.endswith("at 0")
    assert "they have no finite SNR" in scan_figures(changed)[0].caption


def test_the_terminal_says_what_was_left_out_and_where_the_files_are(table: pd.DataFrame) -> None:
    changed = table.copy()
    entry = {"name": "a.conv.weight", "kind": "a.conv", "shape": [2, 3, 4], "reason": "3 axes"}
    changed.attrs = {**table.attrs, "not_measured": [entry] * 14}
    assert left_out(changed)[0] == "a.conv.weight 2×3×4: 3 axes"
    text = printed(changed, [Path("out/scan.csv"), Path("out/scan.html")])
    assert text.count("not measured: a.conv.weight") == 12
    assert "and 2 more" in text
    assert "14 tensors not measured" in text
    assert "scan.csv  scan.html" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100


def test_figures_have_the_table_s_numbers(table: pd.DataFrame) -> None:
    figures = {figure.name: figure for figure in scan_figures(table)}
    assert list(figures) == ["snr", "measures", "density"]
    assert figures["snr"].layout["yaxis"]["tickformat"] == "~g"
    assert "beyond 1 + √β" in figures["density"].caption
    trace = next(trace for trace in figures["snr"].data if trace["name"] == "fc_out")
    rows = table[table["matrix"] == "fc_out"]
    assert trace["x"] == rows["layer"].tolist()
    assert trace["y"] == pytest.approx(rows["snr_ratio"].tolist(), abs=1e-6)
    (menu,) = figures["measures"].layout["updatemenus"]
    change = menu["buttons"][1]["args"][0]
    names = [trace["name"] for trace in figures["measures"].data]
    assert change["y"][names.index("fc_out")] == pytest.approx(rows["stable_rank"].tolist(), abs=1e-6)


def test_spectra_of_each_type_are_offered(table: pd.DataFrame) -> None:
    assert len(chosen_spectra(table)) == 2 * 7 + 2
    figure = density_figure(table)
    assert figure is not None
    for button in figure.layout["updatemenus"][0]["buttons"]:
        change = button["args"][0]
        heights, law = change["y"][:2]
        width = BINS / len(heights) * (change["x"][0][0] / 0.5 / (BINS / len(heights)))
        beyond = re.match(r"(\d+) beyond|none beyond", change["name"][3])
        assert beyond
        share = 1 - int(beyond[1] or 0) / (8 if "k_proj" in button["label"] or "v_proj" in button["label"] else 16)
        assert sum(heights) * width == pytest.approx(share, abs=1e-3)
        assert max(law) > 0


def test_parts_and_experts_have_lines_and_names() -> None:
    whole = scan(FAMILIES["t5_gated"]())
    names = [trace["name"] for trace in scan_figures(whole)[0].data]
    assert {"encoder q_proj", "decoder q_proj", "cross q_proj"} <= set(names)
    experts = density_figure(scan(FAMILIES["mixtral"]()))
    assert experts is not None
    labels = [button["label"] for button in experts.layout["updatemenus"][0]["buttons"]]
    assert any(re.fullmatch(r"layer \d fc_in expert \d", label) for label in labels)


def test_the_page_is_escaped_and_holds_no_nan(table: pd.DataFrame, tmp_path: Path) -> None:
    path = write_scan_page(tmp_path, table, NAME)
    text = path.read_text()
    assert "<h1>&lt;i&gt;model" in text
    data = re.search(r'<script type="application/json" id="figure-data">(.*?)</script>', text, re.S)
    assert data

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads(data[1], parse_constant=refuse)
    assert set(content) == {"snr", "measures", "density"}
    assert "://" not in text.split("<script>")[0]


def test_a_scan_of_nothing_still_has_a_page() -> None:
    empty = scan(nn.Sequential(nn.LayerNorm(4)))
    assert len(empty) == 0
    assert "no architecture file" in render_scan(empty, NAME)
    assert "no architecture file" in printed(empty)
    zero = nn.Linear(8, 8, bias=False)
    nn.init.zeros_(zero.weight)
    table = scan(nn.Sequential(zero))
    assert kinds(table)[0].low == ""
    assert scan_figures(table) == []


def test_wandb_gets_the_table_and_the_figures(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    class Run:
        def __init__(self) -> None:
            self.summary: dict[str, Any] = {}
            self.logged: dict[str, Any] = {}

        def log(self, entries: dict[str, Any]) -> None:
            self.logged |= entries

    run = Run()
    log_scan(run, table, scan_figures(table))
    assert run.summary == {"scan/count": len(table), "scan/not_measured": 0}
    assert isinstance(run.logged["scan/matrices"], wandb.Table)
    assert run.logged["scan/matrices"].columns == list(table.columns)
    assert {"scan/snr", "scan/measures", "scan/density"} <= set(run.logged)


PROBE = """
<script>
const steps = [];
window.addEventListener("error", (event) => steps.push(["error", event.message]));
document.addEventListener("securitypolicyviolation", (event) => steps.push(["refused", event.violatedDirective]));
setTimeout(() => {
  const drawn = [...document.querySelectorAll(".canvas")].map((plot) => plot.querySelectorAll(".trace").length > 0);
  steps.push(["drawn", drawn]);
  const menu = document.querySelector("#menu-density select");
  const plot = document.getElementById("plot-density");
  const before = JSON.stringify(plot.data[0].y);
  menu.value = "3"; menu.dispatchEvent(new Event("input"));
  steps.push(["changed", JSON.stringify(plot.data[0].y) !== before, menu.options.length]);
  const tallest = Math.max(...[...document.querySelectorAll("tbody th")].map((cell) => cell.clientHeight));
  const right = Math.max(...[...document.querySelectorAll("select")].map((box) => box.getBoundingClientRect().right));
  steps.push(["narrow", tallest < 80, right <= innerWidth]);
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify(steps);
  document.body.append(probe);
}, 4000);
</script>
"""


@pytest.mark.browser
def test_the_page_draws_in_a_browser(table: pd.DataFrame, tmp_path: Path) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on the path")
    page = tmp_path / "scan.html"
    page.write_text(render_scan(table, NAME).replace("<main>", f"{PROBE}<main>"))
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--virtual-time-budget=20000"]
    switches.append("--window-size=390,2000")
    done = subprocess.run(
        [program, *switches, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.S)
    assert found
    seen = {name: rest for name, *rest in json.loads(unescape(found[1]))}
    assert seen == {"drawn": [[True, True, True]], "changed": [True, 16], "narrow": [True, True]}
