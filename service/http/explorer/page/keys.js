// @ts-check
/** `<scs-keys>`: shortcuts of the keyboard, and the sheet that lists them. */

import { make } from "./dom.js";
import { session } from "./session.js";

/** @typedef {import("./types").View} View */

const SHEET = [
  ["?", "this sheet"],
  ["o", "choose a picture"],
  ["b", "go to the picture; there: Enter makes a box"],
  ["arrows", "on the picture: move the box by a pixel; with Shift by ten"],
  ["Ctrl + arrows", "on the picture: resize the box, from its lower right corner"],
  ["Alt + arrows", "on the picture: move the place that is pointed at, by a cell of the open layer"],
  ["Escape", "on the picture: take box and place away"],
  ["l, Shift + l", "the next layer, the one before"],
  ["c, Shift + c", "the next channel, the one before"],
  ["1 to 5", "over the picture: nothing, channel, class map, similarity, finds"],
];
const SHOWN = /** @type {View["shown"][]} */ (["nothing", "channel", "class", "similarity", "match"]);

class Keys extends HTMLElement {
  connectedCallback() {
    const rows = SHEET.map(([keys, what]) =>
      make("tr", {}, make("th", { scope: "row" }, make("kbd", { text: keys })), make("td", { text: what })),
    );
    this.dialog = make(
      "dialog",
      { "aria-label": "Keyboard" },
      make("h2", { text: "Keyboard" }),
      make("table", {}, make("tbody", {}, ...rows)),
      make("button", { type: "button", text: "Close", class: "first", onclick: () => this.dialog?.close() }),
    );
    this.append(
      make("button", { type: "button", text: "Keyboard (?)", onclick: () => this.dialog?.showModal() }),
      this.dialog,
    );
    document.addEventListener("keydown", (event) => this.press(event));
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const types = target.matches(
      "input:not([type=radio]):not([type=range]):not([type=file]), select, textarea, dialog *",
    );
    if (types || event.ctrlKey || event.altKey || event.metaKey) return;
    const step = event.shiftKey ? -1 : 1;
    if (event.key === "?") this.dialog?.showModal();
    else if (event.key === "o") document.getElementById("file")?.click();
    else if (event.key === "b") /** @type {HTMLElement | null} */ (document.querySelector(".surface"))?.focus();
    else if (event.key.toLowerCase() === "l") nextLayer(step);
    else if (event.key.toLowerCase() === "c") nextChannel(step);
    else if (/^[1-5]$/.test(event.key)) session.show({ shown: SHOWN[Number(event.key) - 1] });
    else return;
    event.preventDefault();
  }
}

/** @param {number} step */
function nextLayer(step) {
  const names = session.overview?.layers.map((layer) => layer.name) ?? [];
  if (!names.length) return;
  const at = names.indexOf(session.view.layer);
  session.show({
    layer: names[(at + step + names.length + (at < 0 && step < 0 ? 1 : 0)) % names.length],
    channel: -1,
    shown: "channel",
  });
}

/** @param {number} step */
function nextChannel(step) {
  const { maps, view } = session;
  if (!maps) return;
  const order = maps.channels.map((_, at) => at).sort((a, b) => maps.energies[b] - maps.energies[a]);
  const at = order.findIndex((place) => maps.channels[place] === view.channel);
  session.show({ channel: maps.channels[order[(at + step + order.length) % order.length]], shown: "channel" });
}

customElements.define("scs-keys", Keys);
