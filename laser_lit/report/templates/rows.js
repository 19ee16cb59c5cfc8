"use strict";
/* A table by script: sorted by its headings, a page at a time. Its parts have ids that begin with the same word. */
const rows = (() => {
  const compareTexts = new Intl.Collator("en", { numeric: true }).compare;

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.append(text);
    if (className) made.className = className;
    return made;
  }

  const number = (count) => count.toLocaleString("en");
  function signed(value, digits) {
    if (value === null) return "";
    const text = Math.abs(value).toFixed(digits);
    return Number(text) === 0 ? "±" + text : (value > 0 ? "+" : "−") + text;
  }

  /* Null is no value and comes last both ways. */
  function sorted(places, value, down) {
    const values = new Map(places.map((place) => [place, value(place)]));
    const known = places.filter((place) => values.get(place) !== null);
    const order = typeof values.get(known[0]) === "string" ? compareTexts : (a, b) => a - b;
    known.sort((a, b) => (down ? -1 : 1) * order(values.get(a), values.get(b)));
    return [...known, ...places.filter((place) => values.get(place) === null)];
  }

  /* columns: { name, label, className, value (to sort by), cell (what is shown), down (whether the first click sorts downwards) } */
  function table(word, { size, line = () => "", none, left = "", sortedBy = () => {} }) {
    const $ = (part) => document.getElementById(word + "-" + part);
    const state = { columns: [], places: [], shown: [], page: 0, sort: null, down: false };

    function draw() {
      const first = state.page * size;
      const places = state.shown.slice(first, first + size);
      $("rows").tBodies[0].replaceChildren(...places.map((place) => {
        const made = element("tr", null, line(place));
        for (const { className, cell } of state.columns) made.append(element("td", cell(place), className));
        return made;
      }));
      $("previous").disabled = state.page === 0;
      $("next").disabled = first + size >= state.shown.length;
      $("previous").parentElement.classList.toggle("single", state.shown.length <= size);
      $("count").textContent = places.length
        ? number(first + 1) + "–" + number(first + places.length) + " of " + number(state.shown.length) + left
        : none;
    }

    function show(places = state.places) {
      const column = state.columns.find(({ name }) => name === state.sort);
      state.places = places;
      state.shown = column ? sorted(places, column.value, state.down) : places;
      state.page = 0;
      draw();
    }

    function sort(name, down) {
      Object.assign(state, { sort: name, down });
      state.columns.forEach((column, place) => {
        const cell = $("rows").tHead.rows[0].cells[place];
        if (column.name === name) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
      });
      sortedBy(name, down);
    }

    function heading(column) {
      const button = element("button", column.label);
      button.type = "button";
      button.addEventListener("click", () => {
        sort(column.name, state.sort === column.name ? !state.down : Boolean(column.down));
        show();
      });
      const cell = element("th", button, column.className);
      cell.scope = "col";
      return cell;
    }

    function head(columns) {
      state.columns = columns;
      const made = element("tr");
      made.append(...columns.map(heading));
      $("rows").tHead.replaceChildren(made);
      sort(columns.some(({ name }) => name === state.sort) ? state.sort : null, state.down);
    }

    function turn(step) {
      state.page += step;
      draw();
    }

    $("previous").addEventListener("click", () => turn(-1));
    $("next").addEventListener("click", () => turn(1));
    return { head, show, sort };
  }

  return { element, number, signed, table };
})();
