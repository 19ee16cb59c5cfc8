"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figure-data").textContent);
  const chosen = {};
  const $ = (id) => document.getElementById(id);

  function coloured(entry, style) {
    if (Array.isArray(entry)) return entry.map((item) => coloured(item, style));
    if (entry && typeof entry === "object") {
      return Object.fromEntries(Object.entries(entry).map(([name, item]) => [name, coloured(item, style)]));
    }
    return typeof entry === "string" && entry.startsWith("--") ? style.getPropertyValue(entry).trim() || entry : entry;
  }

  const inTheme = (entry) => coloured(entry, getComputedStyle(document.documentElement));
  const menus = (name) => figures[name].layout.updatemenus || [];
  const button = (menu, place) => menu.buttons[place] || menu.buttons[0];

  /* A button's arguments are Plotly's own: of restyle, of relayout, or of update, which takes both. */
  function press(name, { method, args }) {
    return Plotly[method || "restyle"]("plot-" + name, ...inTheme(args));
  }

  async function draw(name) {
    const figure = inTheme({ ...figures[name], layout: { ...figures[name].layout, updatemenus: undefined } });
    figure.layout.dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
    if (matchMedia("(max-width: 40rem)").matches) figure.layout.font.size = 11;
    await Plotly.react("plot-" + name, figure.data, figure.layout, { responsive: true, displaylogo: false, displayModeBar: false });
    for (const [place, menu] of menus(name).entries()) {
      if (chosen[name][place]) await press(name, button(menu, chosen[name][place]));
    }
  }

  function offer(name, menu, place) {
    const select = document.createElement("select");
    menu.buttons.forEach(({ label }, value) => select.append(Object.assign(document.createElement("option"), { value, textContent: label })));
    select.addEventListener("input", () => {
      chosen[name][place] = Number(select.value);
      press(name, button(menu, chosen[name][place]));
    });
    const label = document.createElement("label");
    label.append((menu.name || "Show") + " ", select);
    $("menu-" + name).append(label);
  }

  const names = Object.keys(figures);
  for (const name of names) {
    chosen[name] = {};
    menus(name).forEach((menu, place) => offer(name, menu, place));
    draw(name);
  }
  document.addEventListener("themechange", () => names.forEach(draw));
})();
