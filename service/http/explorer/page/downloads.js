// @ts-check
/** `<scs-downloads>`: the map on the screen as PNG or NumPy array, the picture with its boxes as SVG, and the link. */

import { writeNpy } from "./arrays.js";
import { paint } from "./colours.js";
import { make } from "./dom.js";
import { drawn, shownMap } from "./overlay.js";
import { session } from "./session.js";

class Downloads extends HTMLElement {
  connectedCallback() {
    const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {() => void} */ onclick) =>
      make("button", { type: "button", text, title, onclick });
    this.buttons = [
      button("PNG", "The map, a pixel for each number", () => this.png()),
      button(".npy", "The numbers of the map", () => this.npy()),
      button("SVG", "The picture, the map over it and the boxes", () => this.svg()),
    ];
    this.link = button("Copy link", "The address of this view; the picture is not in it, only its digest", () =>
      this.copyLink(),
    );
    this.append(make("span", { class: "quiet", text: "Take away:" }), ...this.buttons, this.link);
    session.on(["view", "maps", "class", "finds", "picture"], () => this.refresh());
    this.refresh();
  }

  refresh() {
    const none = !session.picture || !shownMap();
    for (const button of this.buttons ?? []) button.disabled = none;
  }

  /** @returns {HTMLCanvasElement | null} */
  canvas() {
    const map = shownMap();
    if (!map) return null;
    const canvas = make("canvas");
    const { values, scale } = drawn(map, session.view.shown === "channel");
    paint(canvas, values, map.rows, map.columns, scale, session.view.threshold / 100);
    return canvas;
  }

  png() {
    this.canvas()?.toBlob((file) => file && save(file, "map.png"), "image/png");
  }

  npy() {
    const map = shownMap();
    if (map) save(writeNpy(map.values, [map.rows, map.columns]), "map.npy");
  }

  async svg() {
    const { picture, view } = session;
    const map = shownMap();
    const canvas = this.canvas();
    const marks = document.querySelector("scs-stage svg");
    if (!picture || !map || !canvas || !marks) return;
    const size = `width="${picture.width}" height="${picture.height}"`;
    const { x, y, width, height } = map.area;
    const style =
      "rect,polygon{fill:none;stroke-width:2}.box{stroke:#e0007a}.find{stroke:#00a37a}.own,.pinned,.field{stroke:#777}";
    const parts = [
      `<svg xmlns="http://www.w3.org/2000/svg" ${size} viewBox="0 0 ${picture.width} ${picture.height}"><style>${style}</style>`,
      `<image ${size} href="${await dataOf(picture.file)}"/>`,
      `<image x="${x}" y="${y}" width="${width}" height="${height}" opacity="${view.opacity / 100}" preserveAspectRatio="none" style="image-rendering:pixelated" href="${canvas.toDataURL()}"/>`,
      ...[...marks.children].map((mark) => new XMLSerializer().serializeToString(mark)),
      "</svg>",
    ];
    save(new Blob(parts, { type: "image/svg+xml" }), "map.svg");
  }

  async copyLink() {
    const { link } = this;
    if (!link) return;
    const copied = await copy(location.href);
    link.textContent = copied ? "Copied" : "It is in the address bar";
    setTimeout(() => (link.textContent = "Copy link"), 2000);
  }
}

/**
 * Copy a text; browsers allow it on https and on this machine alone.
 *
 * @param {string} text
 * @returns {Promise<boolean>} whether it was
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {Blob} file
 * @param {string} name
 */
function save(file, name) {
  const link = make("a", { href: URL.createObjectURL(file), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/**
 * @param {Blob} file
 * @returns {Promise<string>}
 */
function dataOf(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

customElements.define("scs-downloads", Downloads);
