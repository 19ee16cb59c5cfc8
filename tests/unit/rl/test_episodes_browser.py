"""Episodes in a real browser: the page's rules are the game's, and everything is reached by keys."""

import json

import pytest
from browsing import FIRST, browse
from sokoban_episodes import EASY, boards_of, episodes_predictions, episodes_record

from laser_lit.report.html import render_html
from rl.report.episodes import episodes_payload

RULES_PROBE = """
<script>
(() => {
  const text = (level, state) => [...level.text].map((tile, place) => {
    if ("#\\n".includes(tile)) return tile;
    const kinds = level.targets.includes(place) ? "+*." : "@$ ";
    return kinds[place === state.player ? 0 : state.boxes.includes(place) ? 1 : 2];
  }).join("");
  const played = JSON.parse(document.getElementById("task-data").textContent).levels.flatMap(({ board, plays }) => {
    const level = Sokoban.read(board);
    const said = (state) => [text(level, state), Sokoban.solved(level, state)];
    return plays.map(({ actions }) => Sokoban.play(level, actions).map(said));
  });
  steps.push(["played", played]);
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify(steps);
  document.body.append(probe);
})();
</script>
"""

PLAYER_PROBE = """
<script>
(() => {
  const $ = (name) => document.getElementById("episodes-" + name);
  const place = (figure, kind) => figure.querySelector(kind).style.transform.match(/\\d+/g).map(Number);
  const drawn = (figure) => [figure.querySelector(".did").textContent, place(figure, ".player"), place(figure, ".box"),
    figure.querySelectorAll(".placed").length];
  const note = (name) => steps.push([name, $("step").textContent, [...$("boards").children].map(drawn)]);
  const press = (key, target) =>
    (target || $("player")).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const seen = (what) => document.querySelector(what).getClientRects().length > 0;
  const outcomes = [...$("outcomes").children].map((button) => button.textContent);
  steps.push(["seen", seen("#episodes"), seen("#episodes-slider"), outcomes]);
  steps.push(["chosen", $("outcomes").querySelector("[aria-pressed=true]").value, $("meaning").textContent]);
  note("start");
  $("player").focus();
  steps.push(["focus", document.activeElement.id]);
  press("ArrowRight"); note("right");
  press("End"); note("end");
  press("ArrowRight"); note("beyond");
  press("ArrowLeft"); note("left");
  press("Home"); note("home");
  $("forward").click(); note("forward");
  $("last").click(); $("back").click(); note("back");
  $("slider").value = 2; $("slider").dispatchEvent(new Event("input")); note("slid");
  press("ArrowLeft", $("slider")); note("slider keeps its own keys");
  steps.push(["native", press(" ", $("play")), press("ArrowDown"), press("ArrowRight", $("level"))]);
  press("Home"); press(" ");
  steps.push(["playing", $("play").textContent, $("step").getAttribute("aria-live")]);
  press(" "); steps.push(["paused", $("play").textContent, $("step").getAttribute("aria-live")]);
  $("outcomes").querySelector("[value=failed]").click();
  const first = () => $("before").getAttribute("aria-disabled");
  steps.push(["failed", $("meaning").textContent, $("level").options.length, first()]);
  $("after").click(); steps.push(["next", $("level").value, first()]);
  $("before").click(); $("before").click(); steps.push(["previous", $("level").value]);
  $("outcomes").querySelector("[value=fixed]").click();
  const fixed = document.querySelector("#examples-rows .fixed-width");
  const style = getComputedStyle(fixed);
  steps.push(["board", fixed.textContent, style.fontFamily.includes("mono"), style.whiteSpace]);
  $("speed").value = "10"; $("play").click();
  setTimeout(() => {
    note("played");
    steps.push(["stopped", $("play").textContent]);
    const probe = document.createElement("pre");
    probe.id = "probe";
    probe.textContent = JSON.stringify(steps);
    document.body.append(probe);
  }, 3000);
})();
</script>
"""


def page(**wanted):
    text = render_html(episodes_record(**wanted), episodes_predictions(**wanted))
    return text.replace("<main>", f"{FIRST}<main>")


@pytest.mark.browser
def test_the_pages_rules_are_the_games(tmp_path):
    wanted = {"random": 90, "seed": 3}
    seen = browse(page(**wanted), tmp_path, RULES_PROBE)
    assert not {"error", "refused"} & set(seen)
    levels = episodes_payload(episodes_predictions(**wanted))["levels"]
    plays = [(level["board"], play["actions"]) for level in levels for play in level["plays"]]
    assert len(plays) > 180
    expected = [[[board, "$" not in board] for board in boards_of(*play)] for play in plays]
    assert seen["played"] == [expected]
    placed = [len({board.count("*") for board, _ in states}) for states in expected]
    assert sum(counts > 1 for counts in placed) > 10


@pytest.mark.browser
def test_an_episode_is_stepped_and_played_by_buttons_and_keys(tmp_path):
    seen = browse(page(), tmp_path, PLAYER_PROBE)
    assert not {"error", "refused"} & set(seen)
    assert seen["seen"] == [True, True, ["✓ fixed1", "✗ broken1", "solved1", "failed7"]]
    assert seen["chosen"] == ["fixed", "Levels of the test split that were solved under LASER, not under the base."]
    begin, blocked = ["start", [1, 1], [3, 1], 0], ["1: left, blocked", [1, 1], [3, 1], 0]
    walked, pushed = ["1: right", [2, 1], [3, 1], 0], ["2: right, pushes a box, solved", [3, 1], [4, 1], 1]
    first = ["Step 1 of 2", [blocked, walked, walked]]
    last = ["Step 2 of 2", [["2: left, blocked", [1, 1], [3, 1], 0], pushed, pushed]]
    assert seen["start"] == seen["home"] == ["Step 0 of 2", [begin] * 3]
    assert seen["right"] == seen["left"] == seen["forward"] == seen["back"] == first
    assert seen["end"] == seen["beyond"] == seen["slid"] == seen["slider keeps its own keys"] == seen["played"] == last
    assert seen["focus"] == ["episodes-player"]
    assert seen["native"] == [True, True, True]
    assert seen["playing"] == ["Pause", "off"]
    assert seen["paused"] == ["Play", "polite"]
    assert seen["failed"] == ["Levels of the test split that were solved under neither.", 7, "true"]
    assert (seen["next"], seen["previous"]) == (["1", "false"], ["0"])
    assert seen["board"] == [EASY, True, "pre-wrap"]
    assert seen["stopped"] == ["Play"]


@pytest.mark.browser
@pytest.mark.parametrize(("switches", "seconds"), [((), "0.09s"), (("--force-prefers-reduced-motion",), "0s")])
def test_pieces_glide_unless_less_motion_is_wanted(tmp_path, switches, seconds):
    probe = """<script>
      steps.push(["glide", getComputedStyle(document.querySelector("#episodes .player")).transitionDuration]);
      const probe = document.createElement("pre");
      probe.id = "probe";
      probe.textContent = JSON.stringify(steps);
      document.body.append(probe);
    </script>"""
    assert browse(page(), tmp_path, probe, *switches) == {"glide": [seconds]}


@pytest.mark.browser
def test_limits_are_said_in_words_and_nothing_of_the_run_is_markup(tmp_path):
    predictions = episodes_predictions(random=0, repeats=150)
    hostile = predictions.assign(id=[f"</script><b>{row}</b>" for row in range(len(predictions))])
    text = render_html(episodes_record(), hostile).replace("<main>", f"{FIRST}<main>")
    probe = """<script>
      const shown = document.getElementById("episodes-level").options;
      steps.push(["said", document.getElementById("episodes-meaning").textContent, shown.length, shown[0].textContent]);
      steps.push(["markup", document.querySelectorAll("#episodes b").length]);
      const probe = document.createElement("pre");
      probe.id = "probe";
      probe.textContent = JSON.stringify(steps);
      document.body.append(probe);
    </script>"""
    seen = browse(text, tmp_path, probe)
    assert "error" not in seen
    said, shown, name = seen["said"]
    assert said.endswith("not under the base. The first 100 of 150 are on this page.")
    assert (shown, name) == (100, "1: </script><b>600</b>")
    assert seen["markup"] == [0]
    assert json.dumps(episodes_payload(hostile))
