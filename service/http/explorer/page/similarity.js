// @ts-check
/** Sharpened cosine similarity between the features of one place and those of every other, in the browser. */

/** @typedef {import("./types").LayerMaps} LayerMaps */

const LEAST = 1e-12;

/** Features of a layer from their mean over the picture, as the service compares them, and the norm of each place. */
export class Features {
  /** @param {LayerMaps} maps */
  constructor(maps) {
    this.maps = maps;
    const count = maps.rows * maps.columns;
    this.count = count;
    this.values = new Float32Array(maps.data.length); // (C, H, W)
    this.norms = new Float32Array(count);
    for (let channel = 0; channel < maps.channels.length; channel += 1) {
      const start = channel * count;
      let sum = 0;
      for (let place = 0; place < count; place += 1) sum += maps.data[start + place];
      const mean = sum / count;
      for (let place = 0; place < count; place += 1) {
        const value = maps.data[start + place] - mean;
        this.values[start + place] = value;
        this.norms[place] += value * value;
      }
    }
    for (let place = 0; place < count; place += 1) this.norms[place] = Math.sqrt(this.norms[place]);
  }

  /**
   * Compare one place with every place.
   *
   * @param {number} place row times columns, plus column
   * @param {number} p exponent
   * @param {number} q noise floor, in the units of the norms
   * @returns {Float32Array} (H, W), from -1 to 1
   */
  map(place, p, q) {
    const dots = new Float32Array(this.count);
    for (let start = 0; start < this.values.length; start += this.count) {
      const own = this.values[start + place];
      for (let other = 0; other < this.count; other += 1) dots[other] += own * this.values[start + other];
    }
    const norm = this.norms[place];
    for (let other = 0; other < this.count; other += 1) {
      dots[other] = sharpened(dots[other], this.norms[other], norm, p, q);
    }
    return dots;
  }

  /**
   * Return the numbers of the formula for two places.
   *
   * @param {number} place whose features are `s`
   * @param {number} kernel whose features are `k`
   */
  numbers(place, kernel) {
    let dot = 0;
    for (let start = 0; start < this.values.length; start += this.count) {
      dot += this.values[start + place] * this.values[start + kernel];
    }
    return { dot, s: this.norms[place], k: this.norms[kernel] };
  }
}

/**
 * The formula: `sign(s·k) · (|s·k| / ((‖s‖ + q)(‖k‖ + q)))^p`.
 *
 * @param {number} dot
 * @param {number} s norm
 * @param {number} k norm
 * @param {number} p
 * @param {number} q
 * @returns {number}
 */
export function sharpened(dot, s, k, p, q) {
  const cosine = Math.min(1, Math.abs(dot) / Math.max(LEAST, (s + q) * (k + q)));
  return Math.sign(dot) * (p === 2 ? cosine * cosine : cosine ** p);
}
