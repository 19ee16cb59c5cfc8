"use strict";
(() => {
  const FEWEST = 4;
  const $ = (id) => document.getElementById(id);
  const headings = [...document.querySelectorAll("main h2[id]")];
  const links = new Map();

  function link(heading) {
    const made = document.createElement("a");
    made.href = "#" + heading.id;
    made.textContent = heading.textContent;
    links.set(heading, made);
    return made;
  }

  function mark() {
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top < innerHeight / 3);
    for (const [heading, made] of links) {
      if (heading === passed.at(-1)) made.setAttribute("aria-current", "true");
      else made.removeAttribute("aria-current");
    }
  }

  function slash(event) {
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    const search = document.querySelector("input[data-slash]");
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing || !search) return;
    event.preventDefault();
    search.focus();
  }

  if (headings.length >= FEWEST) {
    $("contents").append(...headings.map(link));
    addEventListener("scroll", mark, { passive: true });
    mark();
  }
  document.documentElement.classList.toggle("long", headings.length >= FEWEST);
  $("theme").value = theme.choice();
  $("theme").addEventListener("input", () => theme.choose($("theme").value));
  document.addEventListener("keydown", slash);
  $("top").hidden = false;
})();
