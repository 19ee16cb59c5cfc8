"use strict";
// The rules of rl/sokoban/rules.py, for the page: a board is its text, a place the number of a character in it.
const Sokoban = (() => {
  function read(text) {
    const places = (characters) => [...text].flatMap((tile, place) => (characters.includes(tile) ? [place] : []));
    const across = text.indexOf("\n") + 1;
    return {
      across,
      text,
      walls: places("#"),
      targets: places(".*+"),
      steps: { U: -across, D: across, L: -1, R: 1 },
      state: { player: places("@+")[0], boxes: places("$*") },
    };
  }

  function after(level, state, letter) {
    const step = level.steps[letter], ahead = state.player + step;
    const blocked = (place) => level.text[place] === "#" || state.boxes.includes(place);
    const pushed = state.boxes.indexOf(ahead);
    if (pushed < 0 ? blocked(ahead) : blocked(ahead + step)) return { ...state, did: "blocked" };
    const boxes = state.boxes.map((place, box) => (box === pushed ? place + step : place));
    return { player: ahead, boxes, did: pushed < 0 ? "walks" : "pushes" };
  }

  function play(level, letters) {
    const states = [level.state];
    for (const letter of letters) states.push(after(level, states[states.length - 1], letter));
    return states;
  }

  return { read, play, solved: (level, state) => state.boxes.every((place) => level.targets.includes(place)) };
})();
