// @ts-check
/** `<scs-controls>`: what lies over the picture, its scale, opacity and threshold, and the legend of its colours. */

import { paint } from "./colours.js";
import { labelled, make, onceAFrame, select, short } from "./dom.js";
import { drawn, shownMap } from "./overlay.js";
import { session } from "./session.js";

/** @typedef {import("./types").View} View */

const SHOWN = /** @type {[View["shown"], string][]} */ ([
  ["nothing", "Nothing"],
  ["channel", "Channel"],
  ["class", "Class map"],
  ["similarity", "Similarity"],
  ["match", "Finds"],
]);
const COLOURS = 254;

class Controls extends HTMLElement {
  connectedCallback() {
    this.scale = select(
      [
        ["channel", "each channel"],
        ["layer", "the layer"],
        ["network", "the network"],
      ],
      "channel",
      (scale) => session.show({ scale: /** @type {View["scale"]} */ (scale) }),
    );
    this.magnitude = select(
      [
        ["false", "signed"],
        ["true", "magnitude"],
      ],
      "false",
      (value) => session.show({ magnitude: value === "true" }),
    );
    this.opacity = range((opacity) => session.show({ opacity }));
    this.threshold = range((threshold) => session.show({ threshold }));
    this.radios = SHOWN.map(([value]) =>
      make("input", { type: "radio", name: "shown", value, onchange: () => session.show({ shown: value }) }),
    );
    this.legend = make("canvas", { class: "legend", "aria-hidden": "true" });
    this.ticks = make("p", { class: "ticks", id: "legend", "aria-live": "off" });
    const choices = this.radios.map((radio, at) => make("label", {}, radio, make("span", { text: SHOWN[at][1] })));
    this.append(
      make("fieldset", { class: "shown" }, make("legend", { text: "Over the picture" }), ...choices),
      make(
        "div",
        { class: "row" },
        labelled(
          "Scale of",
          this.scale,
          "The network's is that of all that is known of it: the open layer, and the best channel of each other",
        ),
        labelled("Values", this.magnitude),
        labelled("Opacity", this.opacity),
        labelled("Threshold", this.threshold, "Share of the largest value below which nothing is drawn"),
      ),
      this.legend,
      this.ticks,
    );
    session.on(["view", "maps", "class", "finds", "picture", "hover", "busy"], () => this.refresh());
    this.refresh();
  }

  refresh = onceAFrame(() => this.update());

  update() {
    const { view } = session;
    const { scale, magnitude, opacity, threshold, legend, ticks } = this;
    if (!scale || !magnitude || !opacity || !threshold || !legend || !ticks) return;
    scale.value = view.scale;
    magnitude.value = String(view.magnitude);
    opacity.value = String(view.opacity);
    threshold.value = String(view.threshold);
    for (const radio of this.radios ?? []) radio.checked = radio.value === view.shown;
    const map = session.picture && shownMap();
    legend.hidden = !map;
    if (!map) {
      ticks.textContent = session.picture ? hint(view) : "";
      return;
    }
    const shown = drawn(map, view.shown === "channel").scale;
    const { low, high } = shown;
    const ramp = Float32Array.from({ length: COLOURS }, (_, at) => low + ((high - low) * at) / (COLOURS - 1));
    paint(legend, ramp, 1, COLOURS, shown, view.threshold / 100);
    const numbers = shown.signed ? [low, 0, high] : [low, high];
    ticks.replaceChildren(...numbers.map((number) => make("span", { text: short(number) })));
    ticks.setAttribute("aria-label", `${map.title}: colours from ${short(low)} to ${short(high)}`);
  }
}

/**
 * @param {View} view
 * @returns {string}
 */
function hint(view) {
  const hints = {
    nothing: "",
    channel: "Open a layer to see its channels.",
    class: "Choose a class.",
    similarity: "Open a layer, then point at the picture: what is like that place lights up.",
    match:
      session.busy.has("pixels") || session.busy.has("features")
        ? "Looking …"
        : "Draw a box on the picture: where else does it occur?",
  };
  return hints[view.shown];
}

/**
 * @param {(value: number) => void} choose
 * @returns {HTMLInputElement}
 */
function range(choose) {
  const made = make("input", {
    type: "range",
    min: "0",
    max: "100",
    step: "1",
    oninput: () => choose(Number(made.value)),
  });
  return made;
}

customElements.define("scs-controls", Controls);
