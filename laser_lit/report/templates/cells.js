"use strict";
(() => {
  const LEVEL = 0.05;
  const { number, signed } = rows;
  const cells = JSON.parse(document.getElementById("cells-data").textContent);
  const columns = cells.columns;
  const $ = (id) => document.getElementById(id);

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
  const UPWARDS = ["edits", "error", "p", "p_adjusted"];

  const left = cells.total - cells.shown;
  const clear = (row) => columns.p_adjusted && columns.p_adjusted[row] !== null && columns.p_adjusted[row] <= LEVEL;
  const table = rows.table("cells", {
    size: 20,
    line: (row) => (clear(row) ? "" : "unclear"),
    none: "No cell matches.",
    left: left ? " (" + number(left) + " more in cells.parquet)" : "",
  });

  function update() {
    const words = $("cells-search").value.toLowerCase().trim();
    table.show(columns.edits.map((_, row) => row).filter((row) => columns.edits[row].toLowerCase().includes(words)));
  }

  table.head(SHOWN.filter(([name]) => columns[name]).map(([name, label, className, text]) => ({
    name,
    label,
    className: className || name,
    value: (row) => columns[name][row],
    cell: (row) => (columns[name][row] === null ? "" : text(columns[name][row])),
    down: !UPWARDS.includes(name),
  })));
  $("cells-search").addEventListener("input", update);
  update();
  $("cells").hidden = false;
})();
