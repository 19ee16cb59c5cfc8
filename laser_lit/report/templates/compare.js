"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const body = $("said").tBodies[0];
  const all = [...body.rows];
  const texts = all.map((row) => [...row.querySelectorAll(".text, .answer")].map((part) => part.textContent).join("\n").toLowerCase());
  const whole = $("count").textContent;
  let outcome = "all";

  function update() {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    all.forEach((row, place) => {
      const fits = outcome === "all" || row.dataset.changed === outcome;
      row.hidden = !fits || !words.every((word) => texts[place].includes(word));
      shown += row.hidden ? 0 : 1;
    });
    $("count").textContent = shown === all.length ? whole : shown ? shown + " of these " + all.length + " prompts" : "No prompt matches.";
  }

  function sort() {
    const by = { asked: (row) => Number(row.dataset.number), kl: (row) => -Number(row.dataset.kl) }[$("order").value];
    body.append(...[...all].sort((a, b) => by(a) - by(b) || Number(a.dataset.number) - Number(b.dataset.number)));
  }

  $("search").addEventListener("input", update);
  $("order").addEventListener("input", sort);
  for (const button of $("outcomes").children) {
    button.addEventListener("click", () => {
      outcome = button.value;
      for (const other of $("outcomes").children) other.setAttribute("aria-pressed", String(other === button));
      update();
    });
  }
  $("controls").hidden = false;
})();
