// @ts-check
/** `<scs-strip>`: the network as a strip of its layers, each with its shape and its channel of most energy. */

import { make } from "./dom.js";
import { session } from "./session.js";

/** @typedef {import("./types").LayerAnswer} LayerAnswer */

class Strip extends HTMLElement {
  connectedCallback() {
    session.on(["overview", "card", "view"], () => this.refresh());
  }

  refresh() {
    const layers = session.overview?.layers;
    if (!layers) {
      this.replaceChildren();
      return;
    }
    const buttons = layers.map((layer) => this.layer(layer));
    const focused = this.contains(document.activeElement) ? document.activeElement?.getAttribute("data-layer") : null;
    this.replaceChildren(
      make("p", { class: "quiet", text: summary() }),
      make("div", { class: "strip", role: "group", "aria-label": "Layers" }, ...buttons),
    );
    if (focused)
      /** @type {HTMLElement | null} */ (this.querySelector(`[data-layer="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {LayerAnswer} layer */
  layer(layer) {
    const [channels, rows, columns] = layer.shape;
    const field = layer.receptive_field;
    const sees = field.everywhere
      ? "sees all"
      : `sees ${field.width ?? field.size}×${field.size}, every ${field.stride_across ?? field.stride}`;
    const open = session.view.layer === layer.name;
    const best = layer.heatmaps[0];
    return make(
      "button",
      {
        type: "button",
        class: "layer",
        "aria-pressed": String(open),
        "data-layer": layer.name,
        onclick: () => choose(layer.name),
      },
      best ? make("img", { src: `data:image/png;base64,${best.png}`, alt: "" }) : null,
      make("strong", { text: layer.name }),
      make("span", { text: `${channels} × ${rows} × ${columns}` }),
      make("span", { text: sees }),
    );
  }
}

/** @param {string} layer */
function choose(layer) {
  if (session.view.layer === layer) session.show({ layer: "", channel: -1 });
  else session.show({ layer, channel: -1, shown: session.view.shown === "similarity" ? "similarity" : "channel" });
}

/** @returns {string} */
function summary() {
  const { card, overview } = session;
  const size = overview ? `, run on ${overview.analysed_width}×${overview.analysed_height} pixels` : "";
  return card ? `${card.name} ${card.version}: ${card.parameters.toLocaleString("en")} parameters${size}.` : "";
}

customElements.define("scs-strip", Strip);
