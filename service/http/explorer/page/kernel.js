// @ts-check
/** `<scs-kernel>`: the kernel of the open channel, the patch below it and their product, and the formula's numbers. */

import { paint, scaleFor } from "./colours.js";
import { make, onceAFrame, short } from "./dom.js";
import { norm, patchAt } from "./kernels.js";
import { channelMap, pinned } from "./overlay.js";
import { cellAt } from "./places.js";
import { session } from "./session.js";
import { sharpened } from "./similarity.js";

/** @typedef {import("./types").LayerKernel} LayerKernel */
/** @typedef {import("./types").LayerMaps} LayerMaps */

const MOST = 12; // channels of the input that are drawn
const PARTS = ["patch", "kernel", "product"];

class Kernel extends HTMLElement {
  connectedCallback() {
    this.heading = make("p", { class: "numbers" });
    this.numbers = make("p", { class: "numbers formula" });
    this.grid = make("div", { class: "row kernels", role: "group", "aria-label": "Patch, kernel and product" });
    this.append(this.heading, this.grid, this.numbers);
    session.on(["kernel"], () => this.rebuild());
    session.on(["hover", "view", "maps"], () => this.refresh());
  }

  /** Canvases of the parts of each channel that is drawn. @type {{ channel: number, parts: HTMLCanvasElement[] }[]} */
  cells = [];
  refresh = onceAFrame(() => this.update());

  rebuild() {
    const { kernel } = session;
    const { heading: title, grid } = this;
    if (!title || !grid) return;
    title.textContent = kernel?.answer ? described(kernel.answer) : (kernel?.why ?? "");
    const energies = (kernel?.answer?.kernel ?? []).map((rows) => norm(rows.flat()));
    const order = [...energies.keys()].sort((a, b) => energies[b] - energies[a]).slice(0, MOST);
    this.cells = order.map((channel) => ({ channel, parts: PARTS.map(() => make("canvas", { class: "tap" })) }));
    const first = kernel?.answer?.first_input ?? 0;
    grid.replaceChildren(
      ...this.cells.map(({ channel, parts }) =>
        make(
          "figure",
          { "aria-label": `Channel ${first + channel} of the input` },
          make("div", { "aria-hidden": "true" }, ...parts),
          make("figcaption", { text: String(first + channel) }),
        ),
      ),
    );
    this.refresh();
  }

  update() {
    const { kernel, maps, hover } = session;
    const { numbers, cells } = this;
    const answer = kernel?.answer;
    if (!numbers) return;
    numbers.textContent = "";
    if (!answer || !maps) return;
    const [high, wide] = [answer.kernel[0].length, answer.kernel[0][0].length];
    const weights = Float32Array.from(answer.kernel.flat(2));
    const place = hover ?? pinned();
    const cell = place && cellAt(maps, place.x, place.y);
    const input = session.input?.maps === maps ? session.input : null;
    const patch = cell && input?.values ? patchAt(answer, input.values, maps, cell) : null;
    const product = patch?.map((value, at) => value * weights[at]) ?? null;
    const drawn = [patch, weights, product].map((values) => values && { values, scale: scaleFor(values, true) });
    for (const { channel, parts } of cells) {
      parts.forEach((canvas, part) => {
        const whole = drawn[part];
        canvas.hidden = !whole;
        const start = channel * high * wide;
        if (whole) paint(canvas, whole.values.subarray(start, start + high * wide), high, wide, whole.scale);
      });
    }
    if (patch && product && cell) numbers.textContent = compared(answer, maps, patch, weights, product, cell);
    else if (input?.why) numbers.textContent = input.why;
    else if (cell && input?.values) numbers.textContent = "Pooling follows: a place of this layer has several patches.";
  }
}

/**
 * @param {LayerKernel} answer
 * @returns {string}
 */
function described(answer) {
  const { kernel, channel, layer, operator, after } = answer;
  const [count, high, wide] = [kernel.length, kernel[0].length, kernel[0][0].length];
  const own = answer.p === null ? "" : `, p = ${short(answer.p)}, q = ${short(answer.q ?? 0)}`;
  const what = operator === "Conv" ? "convolution" : "sharpened cosine similarity";
  const then = after.length ? `, then ${after.join(", ")}` : "";
  const shown =
    count > MOST ? ` The ${MOST} of most energy, patch, kernel and product:` : " Patch, kernel and product:";
  const inputs = count === 1 ? "1 channel" : `${count} channels`;
  return `Channel ${channel} of ${layer}: ${what} with a kernel of ${wide}×${high} over ${inputs}${own}${then}.${shown}`;
}

/**
 * Write out the formula for a patch `s` and the kernel `k`.
 *
 * @param {LayerKernel} answer
 * @param {LayerMaps} maps
 * @param {Float32Array} patch
 * @param {Float32Array} weights
 * @param {Float32Array} product
 * @param {{ row: number, column: number }} cell
 * @returns {string}
 */
function compared(answer, maps, patch, weights, product, cell) {
  const { p, q } = session.view;
  const dot = product.reduce((sum, value) => sum + value, 0);
  const [s, k] = [norm(patch), norm(weights)];
  const at = maps.channels.indexOf(answer.channel);
  const value = channelMap(maps, at).values[cell.row * maps.columns + cell.column];
  const after = answer.after.length ? ` After ${answer.after.join(", ")} the layer shows ${short(value)}.` : "";
  const own =
    answer.operator === "Conv"
      ? ` The convolution: s·k + bias = ${short(dot + (answer.bias ?? 0))}.`
      : ` With its own p = ${short(answer.p ?? 1)} and q = ${short(answer.q ?? 0)}: ${short(sharpened(dot, s, k, answer.p ?? 1, answer.q ?? 0))}.`;
  return (
    `s·k = ${short(dot)}, ‖s‖ = ${short(s)}, ‖k‖ = ${short(k)}, cosine = ${short(sharpened(dot, s, k, 1, 0))}.` +
    `${own}${after} With p = ${short(p)} and q = ${short(q)} of the sliders: ${short(sharpened(dot, s, k, p, q))}.`
  );
}

customElements.define("scs-kernel", Kernel);
