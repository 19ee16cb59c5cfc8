"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figure-data").textContent);
  const $ = (id) => document.getElementById(id);

  function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  function coloured(entry, style) {
    if (Array.isArray(entry)) return entry.map((item) => coloured(item, style));
    if (entry && typeof entry === "object") {
      return Object.fromEntries(Object.entries(entry).map(([name, item]) => [name, coloured(item, style)]));
    }
    return typeof entry === "string" && entry.startsWith("--") ? style.getPropertyValue(entry).trim() || entry : entry;
  }

  const chosen = {};
  function draw(name) {
    const figure = coloured(figures[name], getComputedStyle(document.documentElement));
    const narrow = matchMedia("(max-width: 40rem)").matches;
    const [menu] = figure.layout.updatemenus || [];
    delete figure.layout.updatemenus;
    figure.layout.dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
    if (narrow) figure.layout.font.size = 11;
    const settings = { responsive: true, displaylogo: false, displayModeBar: false };
    Plotly.react("plot-" + name, figure.data, figure.layout, settings).then(() => {
      if (menu && chosen[name]) Plotly.restyle("plot-" + name, ...menu.buttons[chosen[name]].args);
    });
  }

  function offer(name) {
    const [menu] = figures[name].layout.updatemenus || [];
    if (!menu) return;
    const select = document.createElement("select");
    menu.buttons.forEach((button, place) => {
      const option = element("option", button.label);
      option.value = place;
      select.append(option);
    });
    select.addEventListener("input", () => {
      chosen[name] = Number(select.value);
      Plotly.restyle("plot-" + name, ...coloured(menu.buttons[chosen[name]].args, getComputedStyle(document.documentElement)));
    });
    const label = element("label", menu.name + " ");
    label.append(select);
    $("menu-" + name).append(label);
  }

  const names = Object.keys(figures);
  for (const name of names) {
    offer(name);
    draw(name);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => names.forEach(draw));
})();
