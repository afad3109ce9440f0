// @ts-check
/** Colour maps of heatmaps: the same colours, and the same rounding, as those of the service. */

/** @typedef {import("./types").Scale} Scale */

const VIRIDIS = "440154 482475 414487 355f8d 2a788e 21918c 22a884 44bf70 7ad151 bddf26 fde725";
const BLUE_ORANGE = "08306b 2171b5 6baed6 c6dbef ffffff fdd0a2 fd8d3c d94801 7f2704";
const CENTRE = 128;
const REACH = 127;

/** RGBA as the bytes of a canvas, one number a colour. */
export const SEQUENTIAL = palette(VIRIDIS, (index) => index / 255);
export const DIVERGING = palette(BLUE_ORANGE, (index) => 0.5 + Math.max(index - CENTRE, -REACH) / (2 * REACH));

/**
 * Find the smallest scale that holds all values; a signed one is symmetric about zero.
 *
 * @param {Float32Array} values
 * @param {boolean} signed
 * @returns {Scale}
 */
export function scaleFor(values, signed) {
  let low = 0;
  let high = 0;
  for (const value of values) {
    if (value < low && value !== -Infinity) low = value;
    else if (value > high && value !== Infinity) high = value;
  }
  const limit = Math.max(-low, high);
  return signed ? { low: -limit, high: limit, signed } : { low, high, signed };
}

/**
 * Draw values on a canvas, one pixel a value.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} values
 * @param {number} rows
 * @param {number} columns
 * @param {Scale} scale
 * @param {number} [threshold] share of the largest absolute value of the scale; what is below it is left clear
 */
export function paint(canvas, values, rows, columns, scale, threshold = 0) {
  canvas.width = columns;
  canvas.height = rows;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = scale.signed ? DIVERGING : SEQUENTIAL;
  const { low, high } = scale;
  const span = high - low || 1;
  const least = threshold * Math.max(-low, high);
  for (let place = 0; place < pixels.length; place += 1) {
    let value = values[place];
    if (Math.abs(value) < least) continue;
    value = Number.isNaN(value) ? 0 : Math.min(Math.max(value, low), high);
    const index = scale.signed ? CENTRE + 2 * REACH * (value / span) : 255 * ((value - low) / span);
    pixels[place] = colours[even(index)];
  }
  context.putImageData(image, 0, 0);
}

/**
 * Round to the nearest whole number, and halves to the even one, as NumPy does.
 *
 * @param {number} value
 * @returns {number}
 */
function even(value) {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

/**
 * @param {string} anchors evenly spaced colours
 * @param {(index: number) => number} place of a colour, from 0 to 1
 * @returns {Uint32Array}
 */
function palette(anchors, place) {
  const colours = anchors.split(" ").map((anchor) => [0, 2, 4].map((at) => parseInt(anchor.slice(at, at + 2), 16)));
  const bytes = new Uint8Array(1024);
  for (let index = 0; index < 256; index += 1) {
    const position = place(index) * (colours.length - 1);
    const below = Math.min(Math.floor(position), colours.length - 2);
    for (let channel = 0; channel < 3; channel += 1) {
      const [from, to] = [colours[below][channel], colours[below + 1][channel]];
      bytes[4 * index + channel] = even(from + (to - from) * (position - below));
    }
    bytes[4 * index + 3] = 255;
  }
  return new Uint32Array(bytes.buffer);
}
