// @ts-check
/** `<scs-stage>`: the picture, the map over it, and the boxes on it; here boxes are drawn and places pointed at. */

import { paint } from "./colours.js";
import { draw, make, onceAFrame } from "./dom.js";
import { drawn, pinned, shownMap } from "./overlay.js";
import { cellAt, parseBox, seenBy, within, writeBox } from "./places.js";
import { session } from "./session.js";

/** @typedef {import("./types").Area} Area */

const CLICK = 4; // pixels of the screen that a click may move by
const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});
const HELP = "Drag to draw a box. With the keyboard: Enter makes a box, arrows move it, Control and arrows resize it.";

class Stage extends HTMLElement {
  connectedCallback() {
    this.image = make("img", { alt: "", draggable: "false" });
    this.overlay = make("canvas", { class: "overlay", "aria-hidden": "true" });
    this.marks = draw("svg", { class: "marks", "aria-hidden": "true" });
    this.surface = make("div", {
      class: "surface",
      tabindex: "0",
      role: "application",
      "aria-label": `The picture. ${HELP}`,
      hidden: true,
    });
    this.surface.append(this.image, this.overlay, this.marks);
    this.empty = make("p", { class: "empty", text: "Drop a picture here, paste one, or choose one below." });
    this.append(this.empty, this.surface);
    this.surface.addEventListener("pointerdown", (event) => this.press(event));
    this.surface.addEventListener("pointermove", (event) => this.move(event));
    this.surface.addEventListener("pointerup", (event) => this.release(event));
    this.surface.addEventListener("pointercancel", () => (this.started = null));
    this.surface.addEventListener("keydown", (event) => this.keyPressed(event));
    session.on(["picture"], () => this.showPicture());
    session.on(["view", "maps", "class", "finds", "overview", "hover"], () => this.refresh());
  }

  /** @type {{ x: number, y: number, screenX: number, screenY: number } | null} */ started = null;

  showPicture() {
    const { picture } = session;
    if (!picture || !this.image || !this.surface || !this.empty || !this.marks) return;
    this.image.src = picture.address;
    this.image.alt = `The picture ${picture.name}, ${picture.width} by ${picture.height} pixels`;
    this.surface.style.aspectRatio = `${picture.width} / ${picture.height}`;
    this.surface.style.setProperty("--share", String(picture.width / picture.height));
    this.image.classList.toggle("coarse", picture.width < 200);
    this.marks.setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
    this.surface.hidden = false;
    this.empty.hidden = true;
    this.refresh();
  }

  refresh = onceAFrame(() => {
    this.drawMap();
    this.drawMarks();
  });

  drawMap() {
    const { overlay } = this;
    const { picture, view } = session;
    const map = picture && shownMap();
    if (!overlay || !picture) return;
    overlay.hidden = !map;
    if (!map) return;
    const { values, scale } = drawn(map, view.shown === "channel");
    paint(overlay, values, map.rows, map.columns, scale, view.threshold / 100);
    overlay.style.left = `${(100 * map.area.x) / picture.width}%`;
    overlay.style.top = `${(100 * map.area.y) / picture.height}%`;
    overlay.style.width = `${(100 * map.area.width) / picture.width}%`;
    overlay.style.height = `${(100 * map.area.height) / picture.height}%`;
    overlay.style.opacity = String(view.opacity / 100);
  }

  drawMarks() {
    const { marks } = this;
    if (!marks || !session.picture) return;
    const { view, maps, overview } = session;
    const found =
      view.shown === "match" && !session.second ? session.finds.find((each) => each.where === view.where) : null;
    const drawings = (found?.finds ?? []).map((find) => polygon(find.corners, find.own ? "own" : "find"));
    const box = this.drawing ?? parseBox(view.box);
    if (box) drawings.push(rectangle(box, "box"));
    for (const [place, kind] of /** @type {const} */ ([
      [pinned(), "pinned"],
      [session.hover, "field"],
    ])) {
      const cell = place && maps && cellAt(maps, place.x, place.y);
      if (cell && maps && overview) drawings.push(rectangle(seenBy(overview, maps.field, cell.row, cell.column), kind));
    }
    marks.replaceChildren(...drawings);
  }

  /**
   * @param {MouseEvent} event
   * @returns {{ x: number, y: number }} in pixels of the picture
   */
  placeOf(event) {
    const area = /** @type {HTMLElement} */ (this.surface).getBoundingClientRect();
    const { width, height } = /** @type {import("./types").Picture} */ (session.picture);
    return {
      x: Math.min(Math.max(0, ((event.clientX - area.left) / area.width) * width), width - 0.01),
      y: Math.min(Math.max(0, ((event.clientY - area.top) / area.height) * height), height - 0.01),
    };
  }

  /** @param {PointerEvent} event */
  press(event) {
    if (event.button !== 0) return;
    event.preventDefault(); // of the dragging of an image
    this.surface?.focus();
    this.surface?.setPointerCapture(event.pointerId);
    this.started = { ...this.placeOf(event), screenX: event.clientX, screenY: event.clientY };
  }

  /** @param {PointerEvent} event */
  move(event) {
    const place = this.placeOf(event);
    if (this.started && !isClick(this.started, event)) {
      this.drawing = between(this.started, place);
      this.refresh();
    }
    this.point(place);
  }

  /** @param {PointerEvent} event */
  release(event) {
    const { started } = this;
    this.started = this.drawing = null;
    if (!started) return;
    const place = this.placeOf(event);
    if (isClick(started, event)) this.pin(place);
    else session.show({ box: writeBox(between(started, place)), shown: "match" });
  }

  /** @type {Area | null} */ drawing = null;

  /** @param {{ x: number, y: number }} place which stays pointed at while the pointer is elsewhere on the page */
  point(place) {
    session.hover = place;
    session.tell("hover");
  }

  /** @param {{ x: number, y: number }} place */
  pin(place) {
    const at = `${Math.floor(place.x)},${Math.floor(place.y)}`;
    session.show({ at: session.view.at === at ? "" : at });
  }

  /** @param {KeyboardEvent} event */
  keyPressed(event) {
    const { picture, view } = session;
    if (!picture) return;
    const box = parseBox(view.box);
    const arrow = ARROWS[event.key];
    if (event.key === "Enter" && !box) {
      const side = Math.max(1, Math.round(Math.min(picture.width, picture.height) / 4));
      const middle = {
        x: Math.round((picture.width - side) / 2),
        y: Math.round((picture.height - side) / 2),
        width: side,
        height: side,
      };
      session.show({ box: writeBox(middle), shown: "match" });
    } else if (event.key === "Escape") session.show({ box: "", at: "" });
    else if (arrow && event.altKey) this.movePin(arrow, event.shiftKey ? 10 : 1);
    else if (arrow && box) session.show({ box: writeBox(moved(box, arrow, event, picture)) });
    else return;
    event.preventDefault();
  }

  /**
   * Move the place that is pointed at by cells of the open layer.
   *
   * @param {[number, number]} arrow
   * @param {number} step
   */
  movePin([across, down], step) {
    const { picture, maps } = session;
    if (!picture) return;
    const from = pinned() ?? { x: picture.width / 2, y: picture.height / 2 };
    const cell = maps ? { x: maps.area.width / maps.columns, y: maps.area.height / maps.rows } : { x: 1, y: 1 };
    const x = Math.min(Math.max(0, from.x + across * step * Math.max(1, cell.x)), picture.width - 1);
    const y = Math.min(Math.max(0, from.y + down * step * Math.max(1, cell.y)), picture.height - 1);
    session.show({ at: `${Math.round(x)},${Math.round(y)}` });
  }
}

/**
 * @param {Area} box
 * @param {[number, number]} arrow
 * @param {KeyboardEvent} event
 * @param {{ width: number, height: number }} picture
 * @returns {Area}
 */
function moved(box, [across, down], event, picture) {
  const step = event.shiftKey ? 10 : 1;
  const resizes = event.ctrlKey || event.metaKey;
  const next = resizes
    ? {
        ...box,
        width: Math.min(box.width + across * step, picture.width - box.x),
        height: Math.min(box.height + down * step, picture.height - box.y),
      }
    : { ...box, x: box.x + across * step, y: box.y + down * step };
  return within(next, picture.width, picture.height);
}

/**
 * @param {{ screenX: number, screenY: number }} started
 * @param {MouseEvent} event
 */
function isClick(started, event) {
  return Math.hypot(event.clientX - started.screenX, event.clientY - started.screenY) < CLICK;
}

/**
 * The whole pixels between two places.
 *
 * @param {{ x: number, y: number }} a
 * @param {{ x: number, y: number }} b
 * @returns {Area}
 */
function between(a, b) {
  const x = Math.floor(Math.min(a.x, b.x));
  const y = Math.floor(Math.min(a.y, b.y));
  return { x, y, width: Math.floor(Math.max(a.x, b.x)) + 1 - x, height: Math.floor(Math.max(a.y, b.y)) + 1 - y };
}

/**
 * @param {Area} area
 * @param {string} kind
 */
function rectangle({ x, y, width, height }, kind) {
  return draw("rect", { x, y, width, height, class: kind });
}

/**
 * @param {[number, number][]} corners
 * @param {string} kind
 */
function polygon(corners, kind) {
  return draw("polygon", { points: corners.map((corner) => corner.join(",")).join(" "), class: kind });
}

customElements.define("scs-stage", Stage);
