// @ts-check
/** Where things lie: cells of a map, receptive fields and boxes, in pixels of the picture as it was sent. */

/** @typedef {import("./types").Area} Area */
/** @typedef {import("./types").Activations} Activations */
/** @typedef {import("./types").ReceptiveField} ReceptiveField */

const ROUNDING = 1e-6;

/**
 * Say how pixels that the network saw lie in the picture.
 *
 * @param {Activations} answer
 * @returns {{ x: number, y: number, across: number, down: number }} the first one's corner, and the size of one
 */
export function analysed(answer) {
  const region = answer.analysed_region ?? { x: 0, y: 0, width: answer.width, height: answer.height };
  return {
    x: region.x,
    y: region.y,
    across: region.width / answer.analysed_width,
    down: region.height / answer.analysed_height,
  };
}

/**
 * Return the strides and offsets of a receptive field, across and down.
 *
 * @param {ReceptiveField} field
 */
export function steps(field) {
  return {
    across: {
      size: field.width ?? field.size,
      stride: field.stride_across ?? field.stride,
      offset: field.offset_across ?? field.offset,
    },
    down: { size: field.size, stride: field.stride, offset: field.offset },
  };
}

/**
 * Return what the cells of a layer's maps cover: each a stride wide, about the middle of what its unit sees.
 *
 * @param {Activations} answer
 * @param {ReceptiveField} field
 * @param {number} rows
 * @param {number} columns
 * @returns {Area}
 */
export function mapArea(answer, field, rows, columns) {
  const { x, y, across, down } = analysed(answer);
  const step = steps(field);
  const left = step.across.offset + (step.across.size - step.across.stride) / 2;
  const top = step.down.offset + (step.down.size - step.down.stride) / 2;
  return {
    x: x + left * across,
    y: y + top * down,
    width: columns * step.across.stride * across,
    height: rows * step.down.stride * down,
  };
}

/**
 * Return the cell of a map at a place of the picture, or null where there is none.
 *
 * @param {{ area: Area, rows: number, columns: number }} map
 * @param {number} x
 * @param {number} y
 * @returns {{ row: number, column: number } | null}
 */
export function cellAt(map, x, y) {
  const column = Math.floor(((x - map.area.x) / map.area.width) * map.columns);
  const row = Math.floor(((y - map.area.y) / map.area.height) * map.rows);
  return row >= 0 && column >= 0 && row < map.rows && column < map.columns ? { row, column } : null;
}

/**
 * Return what a unit sees.
 *
 * @param {Activations} answer
 * @param {ReceptiveField} field
 * @param {number} row
 * @param {number} column
 * @returns {Area}
 */
export function seenBy(answer, field, row, column) {
  if (field.everywhere) return { x: 0, y: 0, width: answer.width, height: answer.height };
  const { x, y, across, down } = analysed(answer);
  const step = steps(field);
  return {
    x: x + (step.across.offset + column * step.across.stride) * across,
    y: y + (step.down.offset + row * step.down.stride) * down,
    width: step.across.size * across,
    height: step.down.size * down,
  };
}

/**
 * Return what the cells of a similarity map of a box cover: each a stride wide, about the middle of the box there.
 *
 * @param {Activations} answer
 * @param {ReceptiveField} field
 * @param {Area} box
 * @param {number} rows
 * @param {number} columns
 * @returns {Area}
 */
export function matchArea(answer, field, box, rows, columns) {
  const { x, y, across, down } = analysed(answer);
  const step = steps(field);
  const first = (/** @type {number} */ start, /** @type {number} */ stride) => {
    const rest = ((start % stride) + stride) % stride;
    return stride - rest < ROUNDING * stride ? 0 : rest;
  };
  const stepX = step.across.stride * across;
  const stepY = step.down.stride * down;
  return {
    x: x + first(box.x - x, stepX) + (box.width - stepX) / 2,
    y: y + first(box.y - y, stepY) + (box.height - stepY) / 2,
    width: columns * stepX,
    height: rows * stepY,
  };
}

/**
 * @param {string} text `x,y,width,height`, whole pixels
 * @returns {Area | null}
 */
export function parseBox(text) {
  const numbers = text.split(",").map(Number);
  if (text === "" || numbers.length !== 4 || !numbers.every(Number.isInteger)) return null;
  const [x, y, width, height] = numbers;
  return { x, y, width, height };
}

/**
 * @param {Area} box
 * @returns {string}
 */
export function writeBox(box) {
  return [box.x, box.y, box.width, box.height].map(Math.round).join(",");
}

/**
 * Keep a box of at least one pixel within a picture.
 *
 * @param {Area} box
 * @param {number} width of the picture
 * @param {number} height
 * @returns {Area}
 */
export function within(box, width, height) {
  const w = Math.min(Math.max(1, box.width), width);
  const h = Math.min(Math.max(1, box.height), height);
  return {
    x: Math.min(Math.max(0, box.x), width - w),
    y: Math.min(Math.max(0, box.y), height - h),
    width: w,
    height: h,
  };
}

/**
 * Intersection over union of two boxes.
 *
 * @param {Area} a
 * @param {Area} b
 * @returns {number}
 */
export function overlap(a, b) {
  const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (across <= 0 || down <= 0) return 0;
  return (across * down) / (a.width * a.height + b.width * b.height - across * down);
}

/**
 * @param {Area} area
 * @returns {[number, number][]}
 */
export function cornersOf({ x, y, width, height }) {
  return [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ];
}

/**
 * @param {[number, number][]} corners
 * @returns {Area}
 */
export function bounds(corners) {
  const across = corners.map(([x]) => x);
  const down = corners.map(([, y]) => y);
  const [x, y] = [Math.min(...across), Math.min(...down)];
  return { x, y, width: Math.max(...across) - x, height: Math.max(...down) - y };
}
