"use strict";
/* Sets data-theme on the root before anything is painted; `themechange` tells whoever draws by script. */
const theme = (() => {
  const KEY = "laser-lit-theme";
  const CHOICES = ["system", "light", "dark"];
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;

  // A browser may refuse storage to a page opened from disk; the choice then lasts as long as the page.
  function kept() {
    try { return localStorage.getItem(KEY); } catch { return null; }
  }
  function keep(name) {
    try { localStorage.setItem(KEY, name); } catch { return; }
  }

  let choice = CHOICES.includes(kept()) ? kept() : "system";
  function show() {
    const name = choice === "system" ? (system.matches ? "dark" : "light") : choice;
    if (root.dataset.theme === name) return;
    root.dataset.theme = name;
    document.dispatchEvent(new Event("themechange"));
  }

  function choose(name) {
    choice = name;
    keep(name);
    show();
  }

  system.addEventListener("change", show);
  show();
  return { choose, choice: () => choice };
})();
