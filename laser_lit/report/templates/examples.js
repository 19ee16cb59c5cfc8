"use strict";
(() => {
  const { element, number, signed } = rows;
  const data = JSON.parse(document.getElementById("data").textContent);
  const columns = data.columns;
  const size = columns.id.length;
  const $ = (id) => document.getElementById(id);
  const state = { outcome: "", split: "", search: "", first: null, second: null, outcomes: [] };
  const SIGNS = { fixed: "✓ fixed", broken: "✗ broken", lower: "↓ lower", higher: "↑ higher" };
  const ORDERS = {
    file: ["as in the data", null],
    gain: ["largest drop of log loss", "change", false],
    loss: ["largest rise of log loss", "change", true],
    heading: ["by a heading", null],
  };

  const at = (name, row) => (columns[name] ? columns[name][row] : null);
  const of = (variant, what) => columns[variant.key + "_" + what];
  const both = (what) => Boolean(of(state.first, what) && of(state.second, what));

  /* Returns what each outcome means for the two that are compared, in the order of the buttons; empty where nothing is judged. */
  function meanings() {
    const [first, second] = [state.first, state.second].map(({ name }) => (name === "base" ? "the base" : name));
    if (state.first === state.second) return of(state.first, "correct") ? { wrong: "wrong", right: "right" } : {};
    if (both("correct")) {
      return {
        fixed: `wrong under ${first}, right under ${second}`,
        broken: `right under ${first}, wrong under ${second}`,
        wrong: "wrong under both",
        right: "right under both",
        ...(both("prediction") ? { differ: "not the same answer under both" } : {}),
      };
    }
    const than = `log loss under ${second} than under ${first}`;
    return both("log_loss") ? { lower: `lower ${than}`, higher: `higher ${than}`, same: "the same log loss under both" } : {};
  }

  function outcome(row) {
    if (both("correct")) {
      const before = of(state.first, "correct")[row], after = of(state.second, "correct")[row];
      return before === after ? (after ? "right" : "wrong") : after ? "fixed" : "broken";
    }
    const change = both("log_loss") ? risen(row) : null;
    return !change ? "same" : change < 0 ? "lower" : "higher";
  }

  function risen(row) {
    const before = of(state.first, "log_loss")[row], after = of(state.second, "log_loss")[row];
    return before === null || after === null ? null : after - before;
  }

  const fits = (name, row) =>
    !name || (name === "differ" ? of(state.first, "prediction")[row] !== of(state.second, "prediction")[row] : state.outcomes[row] === name);

  function written(text, fixedWidth) {
    const made = element("span", text, fixedWidth ? "fixed-width" : null);
    made.dir = "auto";
    return made;
  }

  function prompt(row) {
    const details = element("details");
    const summary = element("summary");
    summary.append(written(at("prompt", row) || at("id", row), data.fixed_width.includes("prompt")));
    const about = ["id", "group", "category", "split"].filter((name) => at(name, row) !== null);
    details.append(summary, element("p", about.map((name) => name + ": " + at(name, row)).join(" · "), "quiet"));
    return details;
  }

  function column(name, label, className, value, cell, down) {
    return { name, label, className, value, cell: cell || ((row) => value(row) ?? ""), down };
  }

  function answers(name, label, values) {
    const fixedWidth = data.fixed_width.includes(name);
    return values ? [column(name, label, "answer", (row) => values[row], (row) => written(values[row], fixedWidth))] : [];
  }

  function shown() {
    const { first, second } = state;
    const pair = first === second ? [first] : [first, second];
    const loss = of(first, "log_loss");
    const made = [];
    if (Object.keys(meanings()).length) made.push(column("outcome", "outcome", "outcome", (row) => state.outcomes[row], (row) => SIGNS[state.outcomes[row]] || state.outcomes[row]));
    made.push(column("prompt", columns.prompt ? "prompt" : "example", "prompt", (row) => at("prompt", row) || at("id", row), prompt));
    made.push(...answers("answer", "gold answer", columns.answer));
    for (const variant of pair) made.push(...answers(variant.key + "_prediction", variant.name + " says", of(variant, "prediction")));
    if (columns.frequency) made.push(column("frequency", "frequency", "n", (row) => columns.frequency[row], (row) => (columns.frequency[row] === null ? "" : number(columns.frequency[row])), true));
    if (loss) made.push(column("loss", `log loss, ${first.name}`, "n", (row) => loss[row], (row) => (loss[row] === null ? "" : loss[row].toFixed(3)), true));
    if (pair.length > 1 && both("log_loss")) made.push(column("change", `${second.name} − ${first.name}`, "n", risen, (row) => signed(risen(row), 3)));
    return made;
  }

  let haystack = null;
  function matching() {
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !haystack) {
      const texts = Object.entries(columns).filter(([name]) => data.searched.includes(name)).map(([, values]) => values);
      haystack = Array.from({ length: size }, (_, row) => texts.map((values) => values[row] || "").join("\n").toLowerCase());
    }
    const found = [];
    for (let row = 0; row < size; row++) {
      if (state.split && at("split", row) !== state.split) continue;
      if (words.every((word) => haystack[row].includes(word))) found.push(row);
    }
    return found;
  }

  const table = rows.table("examples", { size: 100, line: (row) => state.outcomes[row], none: "No example matches.", sortedBy });

  function sortedBy(name, down) {
    const order = Object.keys(ORDERS).find((order) => ORDERS[order][1] === name && (name === null || ORDERS[order][2] === down));
    $("order").value = order || "heading";
    $("order").lastElementChild.hidden = Boolean(order);
  }

  function update() {
    const found = matching();
    for (const button of $("outcomes").children) {
      button.setAttribute("aria-pressed", String(button.value === state.outcome));
      button.lastElementChild.textContent = number(found.filter((row) => fits(button.value, row)).length);
    }
    $("meaning").textContent = state.outcome ? state.outcome + ": " + meanings()[state.outcome] : "";
    table.show(found.filter((row) => fits(state.outcome, row)));
  }

  function press(name) {
    const button = element("button", name || "all");
    button.type = "button";
    button.value = name;
    button.append(element("small"));
    button.addEventListener("click", () => { state.outcome = name; update(); });
    return button;
  }

  function compare() {
    state.first = data.variants[$("first").value];
    state.second = data.variants[$("second").value];
    state.outcomes = Array.from({ length: size }, (_, row) => outcome(row));
    const names = Object.keys(meanings());
    if (!names.includes(state.outcome)) state.outcome = "";
    $("outcomes").replaceChildren(...["", ...names].map(press));
    $("outcomes").hidden = !names.length;
    $("order").parentElement.hidden = !both("log_loss") || state.first === state.second;
    table.head(shown());
  }

  function offer(id, options, hidden) {
    $(id).replaceChildren(...options.map(([value, text]) => Object.assign(element("option", text), { value })));
    $(id).parentElement.hidden = hidden;
  }

  function start() {
    const splits = [...new Set(columns.split || [])];
    const several = data.variants.length > 2;
    offer("split", [...splits, ""].map((split) => [split, split || "all"]), splits.length < 2);
    offer("order", Object.entries(ORDERS).map(([name, [label]]) => [name, label]), false);
    for (const id of ["first", "second"]) offer(id, data.variants.map(({ name }, place) => [place, name]), !several);
    $("second").value = Math.min(1, data.variants.length - 1);
    state.split = $("split").value = splits.includes("test") ? "test" : "";
    for (const id of ["first", "second"]) $(id).addEventListener("input", () => { compare(); update(); });
    for (const id of ["split", "search"]) $(id).addEventListener("input", () => { state[id] = $(id).value; update(); });
    $("order").addEventListener("input", () => {
      const [, name, down] = ORDERS[$("order").value];
      table.sort(name, Boolean(down));
      table.show();
    });
    compare();
    const occurs = (name) => state.outcomes.some((found, row) => found === name && (!state.split || at("split", row) === state.split));
    state.outcome = ["fixed", "broken"].find(occurs) || "";
    update();
    $("browser").hidden = false;
  }

  start();
})();
