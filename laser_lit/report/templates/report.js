"use strict";
(() => {
  const PAGE = 100;
  const data = JSON.parse(document.getElementById("data").textContent);
  const columns = data.columns;
  const size = columns.outcome.length;
  const at = (name, row) => (columns[name] ? columns[name][row] : null);
  const $ = (id) => document.getElementById(id);
  const state = { outcome: "all", split: "", order: "file", search: "", page: 0, rows: [] };
  const texts = ["id", "group", "category", "prompt", "answer", "base_prediction", "laser_prediction"].filter((name) => columns[name]);
  let haystack = null;

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  const number = (count) => count.toLocaleString("en");
  const loss = (value) => (value === null ? "" : value.toFixed(3));
  function change(row) {
    const base = at("base_log_loss", row), laser = at("laser_log_loss", row);
    return base === null || laser === null ? null : laser - base;
  }
  function signed(value) {
    if (value === null) return "";
    const text = Math.abs(value).toFixed(3);
    return Number(text) === 0 ? "±" + text : (value > 0 ? "+" : "−") + text;
  }

  const SIGNS = { fixed: "✓ fixed", broken: "✗ broken", lower: "↓ lower", higher: "↑ higher" };
  const shown = [["prompt", columns.prompt ? "prompt" : "example", "prompt", null]];
  const judged = Object.keys(data.outcomes).length > 0;
  if (judged) shown.unshift(["outcome", "outcome", "outcome", (row) => SIGNS[columns.outcome[row]] || columns.outcome[row]]);
  if (columns.answer) shown.push(["answer", "gold answer", "answer", (row) => at("answer", row)]);
  if (columns.base_prediction) shown.push(["base_prediction", "base says", "answer", (row) => at("base_prediction", row)]);
  if (columns.laser_prediction) shown.push(["laser_prediction", "LASER says", "answer", (row) => at("laser_prediction", row)]);
  if (columns.base_log_loss) shown.push(["loss", "log loss, base", "n", (row) => loss(at("base_log_loss", row))]);
  if (columns.laser_log_loss) shown.push(["change", "LASER − base", "n", (row) => signed(change(row))]);

  const fixed = (name) => (data.fixed_width.includes(name) ? "fixed-width" : null);
  function written(text, className) {
    const made = element("span", text, className);
    made.dir = "auto";
    return made;
  }

  function prompt(row) {
    const details = element("details");
    const summary = element("summary");
    summary.append(written(at("prompt", row) || at("id", row), fixed("prompt")));
    const about = ["id", "group", "category", "split"].filter((name) => at(name, row) !== null);
    details.append(summary, element("p", about.map((name) => name + ": " + at(name, row)).join(" · "), "quiet"));
    return details;
  }

  function line(row) {
    const made = element("tr", null, columns.outcome[row]);
    for (const [name, , className, text] of shown) {
      const cell = element("td", null, className);
      cell.append(!text ? prompt(row) : className === "answer" ? written(text(row), fixed(name)) : text(row));
      made.append(cell);
    }
    return made;
  }

  function matching() {
    if (state.search && !haystack) {
      haystack = Array.from({ length: size }, (_, row) => texts.map((name) => columns[name][row] || "").join("\n").toLowerCase());
    }
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [];
    for (let row = 0; row < size; row++) {
      if (state.split && at("split", row) !== state.split) continue;
      if (words.length && !words.every((word) => haystack[row].includes(word))) continue;
      rows.push(row);
    }
    return rows;
  }

  function update() {
    const rows = matching();
    const counts = { all: rows.length };
    for (const row of rows) counts[columns.outcome[row]] = (counts[columns.outcome[row]] || 0) + 1;
    for (const button of $("outcomes").children) {
      button.setAttribute("aria-pressed", String(button.value === state.outcome));
      button.lastElementChild.textContent = number(counts[button.value] || 0);
    }
    state.rows = state.outcome === "all" ? rows : rows.filter((row) => columns.outcome[row] === state.outcome);
    if (state.order !== "file") {
      const sign = state.order === "gain" ? 1 : -1;
      state.rows.sort((a, b) => sign * (change(a) - change(b)));
    }
    $("meaning").textContent = state.outcome === "all" ? "" : state.outcome + ": " + data.outcomes[state.outcome];
    state.page = 0;
    draw();
  }

  function draw() {
    const first = state.page * PAGE;
    const rows = state.rows.slice(first, first + PAGE);
    $("rows").tBodies[0].replaceChildren(...rows.map(line));
    $("previous").disabled = state.page === 0;
    $("next").disabled = first + PAGE >= state.rows.length;
    $("count").textContent = rows.length
      ? number(first + 1) + "–" + number(first + rows.length) + " of " + number(state.rows.length)
      : "No example matches.";
  }

  function turn(step) {
    state.page += step;
    draw();
    $("examples").scrollIntoView();
  }

  function start() {
    const head = element("tr");
    for (const [, label, className] of shown) {
      const cell = element("th", label, className);
      cell.scope = "col";
      head.append(cell);
    }
    $("rows").tHead.append(head);
    for (const outcome of ["all", ...Object.keys(data.outcomes)]) {
      const button = element("button", outcome);
      button.type = "button";
      button.value = outcome;
      button.append(element("small"));
      button.addEventListener("click", () => { state.outcome = outcome; update(); });
      $("outcomes").append(button);
    }
    const splits = [...new Set(columns.split || [])];
    for (const split of [...splits, ""]) {
      const option = element("option", split || "all");
      option.value = split;
      $("split").append(option);
    }
    state.split = $("split").value = splits.includes("test") ? "test" : "";
    for (const name of ["split", "order", "search"]) {
      $(name).addEventListener("input", () => { state[name] = $(name).value; update(); });
    }
    $("order").parentElement.hidden = !columns.laser_log_loss;
    $("outcomes").hidden = !judged;
    $("previous").addEventListener("click", () => turn(-1));
    $("next").addEventListener("click", () => turn(1));
    const chosen = (row) => !state.split || at("split", row) === state.split;
    const occurs = (outcome) => columns.outcome.some((name, row) => name === outcome && chosen(row));
    state.outcome = ["fixed", "broken"].find(occurs) || "all";
    update();
    $("browser").hidden = false;
  }

  start();
})();
