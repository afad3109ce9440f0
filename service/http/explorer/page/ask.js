// @ts-check
/** `<scs-ask>`: the box that is asked about, in numbers, and how the pixels are compared. */

import { labelled, make, select } from "./dom.js";
import { parseBox, within, writeBox } from "./places.js";
import { readPicture } from "./picture.js";
import { session } from "./session.js";

const METHODS = [
  "ccoeff_normed",
  "ccoeff",
  "ccorr_normed",
  "ccorr",
  "sqdiff_normed",
  "sqdiff",
  "scs",
  "scs_centred",
  "pixels",
  "parts",
  "features",
];
const SIDES = /** @type {const} */ (["x", "y", "width", "height"]);

class Ask extends HTMLElement {
  connectedCallback() {
    this.fields = SIDES.map((side) =>
      make("input", { type: "number", step: "1", name: side, onchange: () => this.typed() }),
    );
    this.method = select(
      METHODS.map((name) => [name, name]),
      "ccoeff_normed",
      (method) => session.show({ method }),
    );
    this.angles = text("none", (angles) => session.show({ angles }));
    this.scales = text("none", (scales) => session.show({ scales }));
    this.least = text("none", (least) => session.show({ least }));
    this.top = make("input", {
      type: "number",
      min: "1",
      max: "99",
      onchange: () => session.show({ top: Math.min(99, Math.max(1, Number(this.top?.value) || 5)) }),
    });
    const second = make("input", { type: "file", accept: "image/*", class: "file", id: "second" });
    second.addEventListener("change", () => {
      this.look(second.files?.[0]);
      second.value = "";
    });
    this.other = make("p", { class: "quiet second" });
    this.append(
      make(
        "fieldset",
        { class: "row box" },
        make("legend", { text: "Box, in pixels of the picture" }),
        ...this.fields.map((field, at) => labelled(SIDES[at], field)),
        make("button", { type: "button", text: "Clear", onclick: () => session.show({ box: "" }) }),
      ),
      make(
        "fieldset",
        { class: "row" },
        make("legend", { text: "How pixels are compared" }),
        labelled("Method", this.method),
        labelled(
          "Angles",
          this.angles,
          "Degrees: auto; one; several with commas between them; start:stop; start:stop:step",
        ),
        labelled("Scales", this.scales, "Likewise: 0.5:2, say"),
        labelled("Least score", this.least),
        labelled("Most finds", this.top),
      ),
      make("p", {}, make("label", { class: "button", for: "second", text: "Look in a second picture" }), second),
      this.other,
    );
    session.on(["view", "picture", "second"], () => this.refresh());
    this.refresh();
  }

  refresh() {
    const { view, second } = session;
    const box = parseBox(view.box);
    this.fields?.forEach((field, at) => (field.value = box ? String(box[SIDES[at]]) : ""));
    if (this.method) this.method.value = view.method;
    if (this.angles) this.angles.value = view.angles;
    if (this.scales) this.scales.value = view.scales;
    if (this.least) this.least.value = view.least;
    if (this.top) this.top.value = String(view.top);
    if (!this.other || this.shown === second) return;
    this.shown = second;
    const back = () => {
      session.second = null;
      session.tell("second");
    };
    const shown = second
      ? [
          make("img", { src: second.address, alt: `The second picture, ${second.name}` }),
          make("button", { type: "button", text: "Look in the first again", onclick: back }),
        ]
      : [];
    this.other.replaceChildren(...shown);
  }

  /** @type {import("./types").Picture | null} */ shown = null;

  typed() {
    const numbers = (this.fields ?? []).map((field) => (field.value === "" ? NaN : Math.round(Number(field.value))));
    if (!session.picture || !numbers.every(Number.isFinite)) return;
    const [x, y, width, height] = numbers;
    session.show({
      box: writeBox(within({ x, y, width, height }, session.picture.width, session.picture.height)),
      shown: "match",
    });
  }

  /** @param {File | undefined} file */
  look(file) {
    if (!file) return;
    session.run("second", async () => {
      session.second = await readPicture(file, file.name);
      session.tell("second");
    });
  }
}

/**
 * @param {string} placeholder
 * @param {(value: string) => void} choose
 */
function text(placeholder, choose) {
  const made = make("input", { type: "text", placeholder, size: "8", onchange: () => choose(made.value.trim()) });
  return made;
}

customElements.define("scs-ask", Ask);
