"use strict";
/* Tables of the page itself: a heading sorts their rows, and a search with data-table hides those without its words. */
(() => {
  const compareTexts = new Intl.Collator("en", { numeric: true }).compare;
  const NUMBER = /^[+−±-]?\d[\d,]*(\.\d+)?(e-?\d+)?/;

  function numberOf(text) {
    const found = text.trim().replace(/^(p )?< ?/, "").match(NUMBER);
    return found ? Number(found[0].replace("−", "-").replace(/[±+,]/g, "")) : null;
  }

  /* A column is one of numbers where every text that is not empty begins with one; in one of class "n" other texts are no value. */
  function keys(lines, { cellIndex: place, classList }) {
    const texts = lines.map((line) => line.cells[place].textContent.trim());
    const numbers = texts.map(numberOf);
    const known = (text, row) => !text || numbers[row] !== null;
    const numeric = classList.contains("n") ? numbers.some((number) => number !== null) : texts.every(known);
    const values = numeric ? numbers : texts.map((text) => text || null);
    return { numeric, of: new Map(lines.map((line, row) => [line, values[row]])) };
  }

  function sort(table, cell) {
    const body = table.tBodies[0], lines = [...body.rows];
    const { numeric, of } = keys(lines, cell);
    const down = cell.hasAttribute("aria-sort") ? cell.getAttribute("aria-sort") === "ascending" : numeric;
    const order = numeric ? (a, b) => a - b : compareTexts;
    const known = lines.filter((line) => of.get(line) !== null);
    known.sort((a, b) => (down ? -1 : 1) * order(of.get(a), of.get(b)));
    body.append(...known, ...lines.filter((line) => of.get(line) === null));
    for (const other of cell.parentElement.children) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    table.classList.add("sorts");
    for (const cell of table.tHead.rows[0].cells) {
      if (cell.dataset.unsorted !== undefined || !cell.textContent.trim()) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...cell.childNodes);
      button.addEventListener("click", () => sort(table, cell));
      cell.append(button);
    }
  }

  for (const search of document.querySelectorAll("input[data-table]")) {
    const lines = [...document.getElementById(search.dataset.table).tBodies[0].rows];
    const texts = lines.map((line) => line.textContent.toLowerCase());
    const found = document.getElementById(search.dataset.table + "-found");
    search.addEventListener("input", () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      lines.forEach((line, row) => { line.hidden = !words.every((word) => texts[row].includes(word)); });
      const shown = lines.filter((line) => !line.hidden).length;
      found.textContent = words.length ? shown.toLocaleString("en") + " of " + lines.length.toLocaleString("en") + " rows" : "";
    });
    document.getElementById(search.dataset.table + "-controls").hidden = false;
  }
})();
