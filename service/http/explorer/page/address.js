// @ts-check
/** The part of the address behind `#`, which restores a view. */

/** @typedef {import("./types").View} View */

/** @type {View} */
export const DEFAULTS = Object.freeze({
  model: "",
  version: "",
  other: "",
  size: "512",
  layer: "",
  channel: -1,
  label: "",
  box: "",
  at: "",
  shown: "channel",
  where: "pixels",
  scale: "channel",
  magnitude: false,
  opacity: 60,
  threshold: 0,
  method: "ccoeff_normed",
  angles: "",
  scales: "",
  top: 5,
  least: "",
  p: 2,
  q: 0,
});

/**
 * Write a view, and digests of the picture and of the model's file; what is as usual is left out.
 *
 * @param {View} view
 * @param {Record<string, string>} digests
 * @returns {string}
 */
export function writeAddress(view, digests) {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(view)) {
    if (value !== DEFAULTS[/** @type {keyof View} */ (name)]) parts.set(name, String(value));
  }
  for (const [name, value] of Object.entries(digests)) if (value) parts.set(name, value);
  return parts.toString().replaceAll("%2C", ",");
}

/**
 * Read a view; what is missing, or no value of its kind, is as usual.
 *
 * @param {string} text
 * @returns {{ view: View, digests: { picture: string, sample: string, file: string } }}
 */
export function readAddress(text) {
  const parts = new URLSearchParams(text.replace(/^#/, ""));
  const view = /** @type {Record<string, string | number | boolean>} */ ({ ...DEFAULTS });
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const given = parts.get(name);
    if (given === null) continue;
    if (typeof usual === "number") view[name] = Number.isFinite(Number(given)) ? Number(given) : usual;
    else view[name] = typeof usual === "boolean" ? given === "true" : given;
  }
  const digest = (/** @type {string} */ name) => parts.get(name) ?? "";
  return {
    view: /** @type {View} */ (/** @type {unknown} */ (view)),
    digests: { picture: digest("picture"), sample: digest("sample"), file: digest("file") },
  };
}
