// @ts-check
/** `<scs-unit>`: the unit below the pointer: what it sees, its value, and the formula's numbers for two places. */

import { labelled, make, onceAFrame, short } from "./dom.js";
import { channelMap, featuresOf, pinned } from "./overlay.js";
import { cut } from "./picture.js";
import { cellAt, seenBy } from "./places.js";
import { session } from "./session.js";
import { sharpened } from "./similarity.js";

/** @typedef {import("./types").LayerMaps} LayerMaps */

class Unit extends HTMLElement {
  connectedCallback() {
    this.patches = ["here", "pinned"].map((name) => ({
      name,
      canvas: make("canvas", { class: "patch", role: "img", "aria-label": `What the unit sees ${name}` }),
    }));
    this.p = range(0.5, 8, 0.1, (p) => session.show({ p }));
    this.q = range(0, 1, 0.01, (q) => session.show({ q }));
    this.value = make("p", { class: "numbers" });
    this.formula = make("p", { class: "numbers formula" });
    this.body = make(
      "div",
      { hidden: true },
      make(
        "div",
        { class: "row" },
        ...this.patches.map(({ name, canvas }) => make("figure", {}, canvas, make("figcaption", { text: name }))),
      ),
      this.value,
      make(
        "div",
        { class: "row" },
        labelled("p, the exponent", this.p),
        labelled("q, the noise floor", this.q, "In the units of the norms"),
      ),
      this.formula,
    );
    this.hint = make("p", {
      class: "quiet",
      text: "Open a layer and point at the picture. A click pins a place, to compare others with; Alt and arrows move it.",
    });
    this.append(this.hint, this.body);
    session.on(["hover", "view", "maps"], () => this.refresh());
  }

  refresh = onceAFrame(() => this.update());

  update() {
    const { maps, view } = session;
    const { body, hint, value, formula, p, q } = this;
    if (!body || !hint || !value || !formula || !p || !q) return;
    const kernel = maps && cellOf(maps, pinned());
    const place = maps && (cellOf(maps, session.hover) ?? kernel);
    body.hidden = !place;
    hint.hidden = !!place;
    if (!maps || !place) return;
    p.value = String(view.p);
    this.show(0, maps, place);
    this.show(1, maps, kernel);
    const at = maps.channels.indexOf(view.channel);
    const own =
      at < 0
        ? ""
        : `; channel ${view.channel} is ${short(channelMap(maps, at).values[place.row * maps.columns + place.column])}`;
    value.textContent = `${maps.layer}, row ${place.row}, column ${place.column}${own}.`;
    const features = featuresOf(maps);
    const [s, k] = [place, kernel ?? place].map((cell) => cell.row * maps.columns + cell.column);
    const numbers = features.numbers(s, k);
    q.max = String(Math.max(1e-3, Math.max(...features.norms.subarray(0, 4096))).toPrecision(2));
    q.step = String(Number(q.max) / 100);
    q.value = String(view.q);
    const result = sharpened(numbers.dot, numbers.s, numbers.k, view.p, view.q);
    formula.textContent =
      `sign(s·k) · ( |s·k| / ((‖s‖ + q)(‖k‖ + q)) )^p = ` +
      `( ${short(Math.abs(numbers.dot))} / ((${short(numbers.s)} + ${short(view.q)})(${short(numbers.k)} + ${short(view.q)})) )^${short(view.p)}` +
      ` = ${short(result)}, of the ${maps.channels.length} features here (s) and ${kernel ? "where it is pinned" : "here too"} (k), from their mean.`;
  }

  /**
   * @param {number} number
   * @param {LayerMaps} maps
   * @param {{ row: number, column: number } | null} cell
   */
  show(number, maps, cell) {
    const patch = this.patches?.[number];
    const { picture, overview } = session;
    if (!patch || !picture || !overview) return;
    patch.canvas.parentElement?.toggleAttribute("hidden", !cell);
    if (cell) cut(picture, seenBy(overview, maps.field, cell.row, cell.column), patch.canvas);
  }
}

/**
 * @param {LayerMaps} maps
 * @param {{ x: number, y: number } | null} place
 */
function cellOf(maps, place) {
  return place && cellAt(maps, place.x, place.y);
}

/**
 * @param {number} min
 * @param {number} max
 * @param {number} step
 * @param {(value: number) => void} choose
 */
function range(min, max, step, choose) {
  const made = make("input", { type: "range", min, max, step, oninput: () => choose(Number(made.value)) });
  return made;
}

customElements.define("scs-unit", Unit);
