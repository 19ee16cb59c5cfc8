"use strict";
(() => {
  const PAGE = 20;
  const LEVEL = 0.05;
  const cells = JSON.parse(document.getElementById("cells-data").textContent);
  const $ = (id) => document.getElementById(id);

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  const number = (count) => count.toLocaleString("en");
  const signed = (value, digits) => {
    const text = Math.abs(value).toFixed(digits);
    return Number(text) === 0 ? "±" + text : (value > 0 ? "+" : "−") + text;
  };
  const p = (value) => (value >= 0.001 ? value.toFixed(3) : value.toExponential(0));
  const SHOWN = [
    ["edits", "stack", "", (value) => value],
    ["gain_accuracy", "accuracy, points", "n", (value) => signed(100 * value, 1)],
    ["gain_log_loss", "log loss, nats", "n", (value) => signed(value, 3)],
    ["p", "p", "n", p],
    ["p_adjusted", "adjusted p", "n", p],
    ["guard", "guard", "", (value) => (value === "refused" ? "turned away" : value)],
    ["predicted", "predicted", "n", (value) => signed(-value, 3)],
    ["n", "examples", "n", number],
    ["seconds", "seconds", "n", (value) => value.toFixed(2)],
    ["error", "error", "", (value) => value],
  ];

  function browse() {
    const columns = cells.columns;
    const shown = SHOWN.filter(([name]) => columns[name]);
    const state = { page: 0, sort: null, down: false, search: "", rows: [] };

    function line(row) {
      const clear = columns.p_adjusted && columns.p_adjusted[row] !== null && columns.p_adjusted[row] <= LEVEL;
      const made = element("tr", null, clear ? "" : "unclear");
      for (const [name, , className, text] of shown) {
        const value = columns[name][row];
        made.append(element("td", value === null ? "" : text(value), className || name));
      }
      return made;
    }

    function update() {
      const words = state.search.toLowerCase().trim();
      const matches = (row) => columns.edits[row].toLowerCase().includes(words);
      state.rows = columns.edits.map((_, row) => row).filter(matches);
      if (state.sort) {
        const values = columns[state.sort];
        const sign = state.down ? -1 : 1;
        const order = typeof values.find((value) => value !== null) === "string" ? new Intl.Collator("en", { numeric: true }).compare : (a, b) => a - b;
        state.rows.sort((a, b) => (values[a] === null) - (values[b] === null) || (values[a] === null ? 0 : sign * order(values[a], values[b])));
      }
      state.page = 0;
      turn(0);
    }

    function turn(step) {
      state.page += step;
      const first = state.page * PAGE;
      const rows = state.rows.slice(first, first + PAGE);
      $("cells-rows").tBodies[0].replaceChildren(...rows.map(line));
      $("cells-previous").disabled = state.page === 0;
      $("cells-next").disabled = first + PAGE >= state.rows.length;
      const left = cells.total - cells.shown;
      $("cells-count").textContent = rows.length
        ? number(first + 1) + "–" + number(first + rows.length) + " of " + number(state.rows.length) + (left ? " (" + number(left) + " more in cells.parquet)" : "")
        : "No cell matches.";
    }

    function sortBy(name, cell) {
      state.down = state.sort === name ? !state.down : !["edits", "error", "p", "p_adjusted"].includes(name);
      state.sort = name;
      for (const other of cell.parentElement.children) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      update();
    }

    const head = element("tr");
    for (const [name, label, className] of shown) {
      const cell = element("th", null, className || name);
      const button = element("button", label);
      button.type = "button";
      button.addEventListener("click", () => sortBy(name, cell));
      cell.scope = "col";
      cell.append(button);
      head.append(cell);
    }
    $("cells-rows").tHead.append(head);
    $("cells-search").addEventListener("input", () => { state.search = $("cells-search").value; update(); });
    $("cells-previous").addEventListener("click", () => turn(-1));
    $("cells-next").addEventListener("click", () => turn(1));
    update();
    $("cells").hidden = false;
  }

  browse();
})();
