// @ts-check
/** The picture that is asked about; it stays in the browser but for what is sent to the service. */

import { Problem, addressOf } from "./api.js";

/** @typedef {import("./types").Picture} Picture */

const DIGITS = 16;

/** Pictures that come with the page. */
export const SAMPLES = /** @type {[string, string][]} */ ([
  ["cat.jpg", "Cat"],
  ["coins.jpg", "Coins"],
]);

/**
 * Read a picture from a file.
 *
 * @param {Blob} file
 * @param {string} name
 * @param {string} [sample] its name, where it comes with the page
 * @returns {Promise<Picture>}
 */
export async function readPicture(file, name, sample = "") {
  const address = URL.createObjectURL(file);
  const image = new Image();
  image.src = address;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(address);
    throw new Problem(`${name} is no picture that this browser can show: PNG, JPEG, WebP, GIF or BMP`, 0);
  }
  const sha256 = await digestOf(file);
  return {
    file,
    name,
    address,
    image,
    width: image.naturalWidth,
    height: image.naturalHeight,
    digest: sha256.slice(0, DIGITS),
    sha256,
    sample,
  };
}

/**
 * Fetch a picture that comes with the page.
 *
 * @param {string} name
 * @returns {Promise<Picture>}
 */
export async function readSample(name) {
  const answer = await fetch(addressOf(`explorer/samples/${name}`), { credentials: "omit" });
  return readPicture(await answer.blob(), name, name);
}

/**
 * Return a file's SHA-256; browsers have it on https and on this machine alone, elsewhere it is "".
 *
 * @param {Blob} file
 * @returns {Promise<string>}
 */
async function digestOf(file) {
  if (!globalThis.crypto?.subtle) return "";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Cut a part out of a picture.
 *
 * @param {Picture} picture
 * @param {import("./types").Area} area may reach beyond the picture, which is left clear there
 * @param {HTMLCanvasElement} canvas gets a pixel for each pixel
 */
export function cut(picture, area, canvas) {
  canvas.width = Math.max(1, Math.round(area.width));
  canvas.height = Math.max(1, Math.round(area.height));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(picture.image, -Math.round(area.x), -Math.round(area.y));
}
