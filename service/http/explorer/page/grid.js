// @ts-check
/** `<scs-grid>`: every channel of the open layer as a heatmap, the one with most energy first. */

import { paint } from "./colours.js";
import { make, short } from "./dom.js";
import { channelMap, drawn } from "./overlay.js";
import { session } from "./session.js";

/** @typedef {import("./types").LayerMaps} LayerMaps */

class Grid extends HTMLElement {
  connectedCallback() {
    session.on(["maps"], () => this.rebuild());
    session.on(["view"], () => {
      if (session.changed.has("channel")) this.mark();
      if (["scale", "magnitude", "threshold"].some((name) => session.changed.has(name))) this.repaint();
    });
  }

  /** @type {{ at: number, canvas: HTMLCanvasElement, button: HTMLButtonElement }[]} */ cells = [];

  rebuild() {
    const { maps } = session;
    this.cells = [];
    if (!maps) {
      this.replaceChildren();
      return;
    }
    const order = maps.channels.map((_, at) => at).sort((a, b) => maps.energies[b] - maps.energies[a]);
    if (!maps.channels.includes(session.view.channel)) session.show({ channel: maps.channels[order[0]] });
    this.cells = order.map((at) => this.cell(maps, at));
    const count = maps.complete ? `${order.length} channels` : `the ${order.length} channels of most energy`;
    this.replaceChildren(
      make("p", { class: "quiet", text: `${maps.layer}: ${count}, by energy (mean square).` }),
      make(
        "div",
        { class: "grid", role: "group", "aria-label": `Channels of ${maps.layer}` },
        ...this.cells.map(({ button }) => button),
      ),
    );
    this.repaint();
    this.mark();
  }

  /**
   * @param {LayerMaps} maps
   * @param {number} at
   */
  cell(maps, at) {
    const channel = maps.channels[at];
    const card = session.card;
    const labels =
      card?.layers.find((layer) => layer.name === maps.layer)?.labels ??
      (card?.class_map === maps.layer ? card.labels : null);
    const name = labels?.[channel] ?? String(channel);
    const canvas = make("canvas", { "data-channel": channel, "aria-hidden": "true" });
    const label = `Channel ${name}, energy ${short(maps.energies[at])}`;
    const choose = () => session.show({ channel, shown: "channel" });
    const button = make(
      "button",
      { type: "button", class: "channel", title: label, "aria-label": label, onclick: choose },
      canvas,
      make("span", { text: name }),
    );
    return { at, canvas, button };
  }

  repaint() {
    const { maps, view } = session;
    if (!maps) return;
    for (const { at, canvas } of this.cells) {
      const map = channelMap(maps, at);
      const { values, scale } = drawn(map, true);
      paint(canvas, values, map.rows, map.columns, scale, view.threshold / 100);
    }
  }

  mark() {
    for (const { at, button } of this.cells) {
      button.setAttribute("aria-pressed", String(session.maps?.channels[at] === session.view.channel));
    }
  }
}

customElements.define("scs-grid", Grid);
