// @ts-check
/** NumPy's files, .npy and .npz, read and written. */

/** @typedef {import("./types").NumberArray} NumberArray */

const ANSWER = "answer.json";
const MAGIC = "\u0093NUMPY";
const KINDS = /** @type {Record<string, any>} */ ({
  "<f4": Float32Array,
  "<f8": Float64Array,
  "<i4": Int32Array,
  "|u1": Uint8Array,
});

/**
 * Read a NumPy array.
 *
 * @param {Uint8Array} bytes a .npy file, little-endian and in C order
 * @returns {NumberArray} whole numbers of 64 bits as doubles, which hold those that occur here
 */
export function readNpy(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (latin(bytes.subarray(0, 6)) !== MAGIC) throw new Error("these bytes are no NumPy array");
  const long = bytes[6] > 1;
  const start = long ? 12 : 10;
  const end = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = latin(bytes.subarray(start, end));
  const kind = /'descr':\s*'([^']+)'/.exec(header)?.[1] ?? "";
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? "").split(",").filter((part) => part.trim());
  const content = bytes.slice(end).buffer; // a copy, so that it is aligned
  if (kind === "<i8") {
    return { shape: shape.map(Number), data: Float64Array.from(new BigInt64Array(content), Number) };
  }
  if (!(kind in KINDS)) throw new Error(`an array of ${kind} is not read here`);
  return { shape: shape.map(Number), data: new KINDS[kind](content) };
}

/**
 * Read a NumPy archive whose members are not compressed, as the service writes them.
 *
 * @param {ArrayBuffer} buffer
 * @returns {Map<string, NumberArray>} arrays by name
 */
export function readNpz(buffer) {
  return readArchive(buffer).arrays;
}

/**
 * Read an archive of arrays that may have the JSON answer beside them.
 *
 * @param {ArrayBuffer} buffer
 * @returns {{ arrays: Map<string, NumberArray>, answer: any }} the answer is null where it has none
 */
export function readArchive(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) throw new Error("these bytes are no NumPy archive");
  const arrays = new Map();
  let answer = null;
  let place = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left -= 1) {
    const size = view.getUint32(place + 20, true);
    const name = view.getUint16(place + 28, true);
    const local = view.getUint32(place + 42, true);
    const begin = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const member = new TextDecoder().decode(bytes.subarray(place + 46, place + 46 + name));
    const content = bytes.subarray(begin, begin + size);
    if (member === ANSWER) answer = JSON.parse(new TextDecoder().decode(content));
    else arrays.set(member.replace(/\.npy$/, ""), readNpy(content));
    place += 46 + name + view.getUint16(place + 30, true) + view.getUint16(place + 32, true);
  }
  return { arrays, answer };
}

/**
 * Write a NumPy array of single precision.
 *
 * @param {Float32Array} data
 * @param {number[]} shape
 * @returns {Blob}
 */
export function writeNpy(data, shape) {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const padded = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + "\n";
  const head = new Uint8Array(10 + padded.length);
  head.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length & 255, padded.length >> 8]);
  head.set(new TextEncoder().encode(padded), 10);
  return new Blob([head, /** @type {Float32Array<ArrayBuffer>} */ (data)], { type: "application/x-npy" });
}

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
function latin(bytes) {
  return String.fromCharCode(...bytes);
}
