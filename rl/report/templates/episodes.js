(() => {
  const data = JSON.parse(document.getElementById("task-data").textContent);
  const $ = (name) => document.getElementById("episodes-" + name);
  const NAMES = { U: "up", D: "down", L: "left", R: "right" };
  const DID = { walks: "", pushes: ", pushes a box", blocked: ", blocked" };
  const SIGNS = { fixed: "✓ fixed", broken: "✗ broken", solved: "solved", failed: "failed" };
  const number = (count) => count.toLocaleString("en");
  const show = { outcome: "", levels: [], level: 0, step: 0, last: 0, boards: [], timer: null };

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function shape(name, attributes, parent) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (parent) parent.append(made);
    return made;
  }

  const cell = (level, place) => [place % level.across, Math.floor(place / level.across)];
  function move(thing, level, place) {
    const [x, y] = cell(level, place);
    thing.style.transform = `translate(${x}px, ${y}px)`;
  }

  function drawing(level) {
    const width = level.across - 1, height = level.text.split("\n").length;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    shape("rect", { class: "floor", width, height }, svg);
    for (const place of level.walls) {
      const [x, y] = cell(level, place);
      shape("rect", { class: "wall", x: x + .04, y: y + .04, width: .92, height: .92 }, svg);
    }
    for (const place of level.targets) {
      const [x, y] = cell(level, place);
      shape("circle", { class: "target", cx: x + .5, cy: y + .5, r: .24 }, svg);
    }
    const boxes = level.state.boxes.map(() => {
      const box = shape("g", { class: "moves box" }, svg);
      shape("rect", { x: .12, y: .12, width: .76, height: .76, rx: .06 }, box);
      shape("path", { d: "M.12 .12 .88 .88M.88 .12 .12 .88" }, box);
      return box;
    });
    const player = shape("g", { class: "moves player" }, svg);
    shape("path", { class: "body", d: "M.26 .9V.62a.24 .2 0 0 1 .48 0V.9z" }, player);
    shape("circle", { class: "head", cx: .5, cy: .32, r: .18 }, player);
    return { svg, boxes, player };
  }

  function board(level, play) {
    const figure = element("figure"), caption = element("figcaption");
    const steps = play.actions.length, moves = steps + (steps === 1 ? " step" : " steps");
    caption.append(element("strong", play.title));
    caption.append(element("span", play.solved ? "solved in " + moves : "not solved in " + moves, play.solved ? "good" : "bad"));
    const did = element("p", "", "quiet did"), actions = element("p", null, "actions");
    const letters = [...play.actions].map((letter) => element("span", letter));
    actions.setAttribute("aria-hidden", "true");
    actions.append(...letters);
    const drawn = drawing(level);
    figure.append(caption, drawn.svg, did, actions);
    return { ...drawn, level, play, figure, did, letters, states: Sokoban.play(level, play.actions) };
  }

  function place(shown, step) {
    const at = Math.min(step, shown.play.actions.length), state = shown.states[at];
    move(shown.player, shown.level, state.player);
    state.boxes.forEach((where, box) => {
      move(shown.boxes[box], shown.level, where);
      shown.boxes[box].classList.toggle("placed", shown.level.targets.includes(where));
    });
    shown.letters.forEach((letter, index) => {
      const blocked = index < at && shown.states[index + 1].did === "blocked" ? " blocked" : "";
      letter.className = (index === at - 1 ? "now" : index < at ? "past" : "") + blocked;
    });
    const said = at === 0 ? "start" : at + ": " + NAMES[shown.play.actions[at - 1]] + DID[state.did];
    shown.did.textContent = said + (at === shown.play.actions.length && Sokoban.solved(shown.level, state) ? ", solved" : "");
    shown.svg.setAttribute("aria-label", shown.play.title + ", step " + shown.did.textContent);
  }

  // A button that has the focus would lose it, and the keys with it, if it were disabled.
  const idle = (name, is) => $(name).setAttribute("aria-disabled", String(is));

  function go(step) {
    show.step = Math.max(0, Math.min(step, show.last));
    for (const shown of show.boards) place(shown, show.step);
    $("slider").value = show.step;
    $("step").textContent = "Step " + show.step + " of " + show.last;
    for (const name of ["first", "back"]) idle(name, show.step === 0);
    for (const name of ["forward", "last"]) idle(name, show.step === show.last);
    if (show.step === show.last) pause();
  }

  function pause() {
    clearTimeout(show.timer);
    show.timer = null;
    $("play").textContent = "Play";
    $("step").setAttribute("aria-live", "polite");
  }

  function tick() {
    show.timer = setTimeout(() => { tick(); go(show.step + 1); }, 1000 / Number($("speed").value));
  }

  function toggle() {
    if (show.timer !== null) return pause();
    if (show.step === show.last) go(0);
    $("step").setAttribute("aria-live", "off");
    $("play").textContent = "Pause";
    tick();
  }

  function jump(step) {
    pause();
    go(step);
  }

  function open(index) {
    if (!show.levels[index]) return;
    pause();
    show.level = index;
    const chosen = show.levels[index], level = Sokoban.read(chosen.board);
    show.boards = chosen.plays.map((play) => board(level, play));
    show.last = Math.max(...chosen.plays.map((play) => play.actions.length));
    $("boards").replaceChildren(...show.boards.map((shown) => shown.figure));
    $("slider").max = show.last;
    $("level").value = index;
    idle("before", index === 0);
    idle("after", index === show.levels.length - 1);
    go(0);
  }

  function choose(outcome) {
    show.outcome = outcome;
    show.levels = data.levels.filter((level) => level.outcome === outcome);
    const { total, meaning } = data.outcomes.find((entry) => entry.name === outcome);
    const some = show.levels.length < total ? ` The first ${number(show.levels.length)} of ${number(total)} are on this page.` : "";
    $("meaning").textContent = `Levels of the ${data.split} split that were ${meaning}.${some}`;
    for (const button of $("outcomes").children) button.setAttribute("aria-pressed", String(button.value === outcome));
    $("level").replaceChildren(...show.levels.map((level, index) => {
      const option = element("option", `${index + 1}: ${level.name}`);
      option.value = index;
      return option;
    }));
    open(0);
  }

  function key(event) {
    const { tagName, type } = event.target;
    if (event.ctrlKey || event.altKey || event.metaKey || tagName === "SELECT") return;
    const slider = type === "range", act = {
      ArrowLeft: slider ? null : () => jump(show.step - 1),
      ArrowRight: slider ? null : () => jump(show.step + 1),
      Home: () => jump(0),
      End: () => jump(show.last),
      " ": tagName === "BUTTON" ? null : toggle,
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  function start() {
    for (const { name, meaning, total } of data.outcomes) {
      const button = element("button", SIGNS[name]);
      button.type = "button";
      button.value = name;
      button.title = meaning;
      button.disabled = total === 0;
      button.append(element("small", number(total)));
      button.addEventListener("click", () => choose(name));
      $("outcomes").append(button);
    }
    const on = (name, event, act) => $(name).addEventListener(event, act);
    on("level", "input", () => open(Number($("level").value)));
    on("before", "click", () => open(show.level - 1));
    on("after", "click", () => open(show.level + 1));
    on("first", "click", () => jump(0));
    on("back", "click", () => jump(show.step - 1));
    on("play", "click", toggle);
    on("forward", "click", () => jump(show.step + 1));
    on("last", "click", () => jump(show.last));
    on("slider", "input", () => jump(Number($("slider").value)));
    on("player", "keydown", key);
    choose(data.outcomes.find(({ total }) => total > 0).name);
    document.getElementById("episodes").hidden = false;
  }

  start();
})();
