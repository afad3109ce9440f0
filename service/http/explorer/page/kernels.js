// @ts-check
/** The kernel of the open channel, and what it is laid over: asked for, and compared in the browser. */

import { Problem, ask, askAbout } from "./api.js";
import { readNpz } from "./arrays.js";
import { modelOptions } from "./questions.js";
import { session } from "./session.js";

/** @typedef {import("./types").LayerKernel} LayerKernel */
/** @typedef {import("./types").LayerMaps} LayerMaps */
/** @typedef {import("./types").NumberArray} NumberArray */

const MOST_NUMBERS = 24e6; // of an input

/** Ask for the kernel whenever another channel is open, and for the input of a layer once it is pointed at. */
export function listenForKernels() {
  session.on(["maps"], askKernel);
  session.on(["view"], () => {
    if (session.changed.has("channel")) askKernel();
    if (session.changed.has("at")) askInput();
  });
  session.on(["hover", "kernel"], askInput);
}

function askKernel() {
  session.kernel = null;
  const { maps, view } = session;
  if (session.input?.maps !== maps) session.input = null;
  session.tell("kernel");
  if (!maps || !maps.channels.includes(view.channel)) return;
  session.run("kernel", async (signal) => {
    const found = await readKernel(signal);
    if (signal.aborted || session.maps !== maps) return;
    session.kernel = found;
    session.tell("kernel");
  });
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<{ answer: LayerKernel | null, why: string }>}
 */
async function readKernel(signal) {
  const { model, version, layer, channel } = session.view;
  try {
    const answer = await ask(`models/${encodeURIComponent(model)}/kernel`, {
      options: { version, layer, channel },
      signal,
    });
    return { answer: await answer.json(), why: "" };
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 422) throw error;
    return { answer: null, why: error.message };
  }
}

function askInput() {
  const { maps, kernel, hover, view, picture } = session;
  if (!maps || !picture || !kernel?.answer || session.input?.maps === maps || !(hover || view.at)) return;
  const { layer } = maps;
  session.input = { maps, values: null, why: "" };
  const { strides, kernel: weights } = kernel.answer;
  if (maps.rows * strides[0] * maps.columns * strides[1] * weights.length > MOST_NUMBERS) {
    session.input.why = "What it is laid over is too large for a page: choose fewer pixels for the layers.";
    return;
  }
  session.run("input", async (signal) => {
    const options = { ...modelOptions(), layers: layer, channels: "top1", inputs: "true" };
    const answer = await askAbout("activations", picture, { options, accept: "application/x-npz", signal });
    const values = readNpz(await answer.arrayBuffer()).get(`${layer}.input`);
    if (!values) throw new Error(`the answer has no input of ${layer}`);
    if (session.input?.maps === maps) session.input = { maps, values, why: "" };
    session.tell("kernel");
  });
}

/**
 * Cut the patch out of an input that a kernel is laid over, with zeros where that reaches beyond it.
 *
 * @param {LayerKernel} kernel
 * @param {NumberArray} input (C, H, W)
 * @param {LayerMaps} maps of the layer
 * @param {{ row: number, column: number }} cell of its maps
 * @returns {Float32Array | null} in the order of the kernel's weights; null where a cell has several patches
 */
export function patchAt(kernel, input, maps, cell) {
  const { pads, strides, dilations, first_input: first, kernel: weights } = kernel;
  const [, rows, columns] = input.shape;
  const [high, wide] = [weights[0].length, weights[0][0].length];
  if (!pads) return null;
  const fits = (/** @type {number} */ size, /** @type {number} */ side, /** @type {number} */ axis) =>
    Math.floor((size + pads[axis] + pads[axis + 2] - dilations[axis] * (side - 1) - 1) / strides[axis]) + 1;
  if (fits(rows, high, 0) !== maps.rows || fits(columns, wide, 1) !== maps.columns) return null;
  const patch = new Float32Array(weights.length * high * wide);
  let at = 0;
  for (let channel = first; channel < first + weights.length; channel += 1) {
    for (let down = 0; down < high; down += 1) {
      const row = cell.row * strides[0] + down * dilations[0] - pads[0];
      for (let across = 0; across < wide; across += 1, at += 1) {
        const column = cell.column * strides[1] + across * dilations[1] - pads[1];
        if (row >= 0 && row < rows && column >= 0 && column < columns)
          patch[at] = input.data[(channel * rows + row) * columns + column];
      }
    }
  }
  return patch;
}

/**
 * @param {ArrayLike<number>} values
 * @returns {number}
 */
export function norm(values) {
  let sum = 0;
  for (let at = 0; at < values.length; at += 1) sum += values[at] * values[at];
  return Math.sqrt(sum);
}
