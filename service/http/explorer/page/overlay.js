// @ts-check
/** The map that lies over the picture, by what the view shows. */

import { scaleFor } from "./colours.js";
import { cellAt } from "./places.js";
import { session } from "./session.js";
import { Features } from "./similarity.js";

/** @typedef {import("./types").PlacedMap} PlacedMap */
/** @typedef {import("./types").LayerMaps} LayerMaps */
/** @typedef {import("./types").Scale} Scale */

/** @type {WeakMap<LayerMaps, Features>} */
const features = new WeakMap();
/** @type {WeakMap<LayerMaps, Scale>} */
const ofLayers = new WeakMap();

/**
 * Return the features of a layer, prepared once.
 *
 * @param {LayerMaps} maps
 * @returns {Features}
 */
export function featuresOf(maps) {
  const known = features.get(maps) ?? new Features(maps);
  features.set(maps, known);
  return known;
}

/** @returns {{ x: number, y: number } | null} the place that was pinned by a click */
export function pinned() {
  const numbers = session.view.at.split(",").map(Number);
  return session.view.at && numbers.length === 2 && numbers.every(Number.isFinite)
    ? { x: numbers[0], y: numbers[1] }
    : null;
}

/** @returns {PlacedMap | null} */
export function shownMap() {
  const { view, maps, classMap } = session;
  if (view.shown === "class") return classMap?.map ?? null;
  if (view.shown === "match") return session.finds.find((each) => each.where === view.where)?.map ?? null;
  if (!maps || view.shown === "nothing") return null;
  if (view.shown === "similarity") return similarityMap(maps);
  const at = maps.channels.indexOf(view.channel);
  return at < 0 ? null : channelMap(maps, at);
}

/**
 * @param {LayerMaps} maps
 * @param {number} at place of the channel among them
 * @returns {PlacedMap}
 */
export function channelMap(maps, at) {
  const count = maps.rows * maps.columns;
  const { rows, columns, area, signed } = maps;
  const values = maps.data.subarray(at * count, (at + 1) * count);
  return { values, rows, columns, area, signed, title: `${maps.layer}, channel ${maps.channels[at]}` };
}

/**
 * @param {LayerMaps} maps
 * @returns {PlacedMap | null}
 */
function similarityMap(maps) {
  const place = pinned() ?? session.hover;
  const cell = place && cellAt(maps, place.x, place.y);
  if (!cell) return null;
  const { rows, columns, area, layer } = maps;
  const values = featuresOf(maps).map(cell.row * columns + cell.column, session.view.p, session.view.q);
  return { values, rows, columns, area, signed: true, title: `similarity in ${layer}` };
}

/**
 * Return the values of a map as they are drawn, and their scale.
 *
 * @param {PlacedMap} map
 * @param {boolean} ofChannel whether it is a channel of the open layer, to be compared with others
 * @returns {{ values: Float32Array, scale: Scale }}
 */
export function drawn(map, ofChannel) {
  const { magnitude, scale: of } = session.view;
  const values = magnitude ? map.values.map(Math.abs) : map.values;
  const signed = map.signed && !magnitude;
  const shared = ofChannel && of !== "channel" ? sharedScale() : map.limit ? scaleTo(map.limit, map.signed) : null;
  if (!shared) return { values, scale: scaleFor(values, signed) };
  const limit = Math.max(shared.high, -shared.low);
  return { values, scale: magnitude ? { low: 0, high: limit, signed } : shared };
}

/**
 * @param {number} limit
 * @param {boolean} signed
 * @returns {Scale}
 */
function scaleTo(limit, signed) {
  return { low: signed ? -limit : 0, high: limit, signed };
}

/** @returns {Scale | null} that of the open layer; of the network, that of all that is known of its layers */
function sharedScale() {
  const { maps, overview, view } = session;
  if (!maps) return null;
  const known = ofLayers.get(maps) ?? scaleFor(maps.data, maps.signed);
  ofLayers.set(maps, known);
  if (view.scale === "layer" || !overview) return known;
  const maxima = overview.layers.flatMap((layer) => layer.heatmaps.map((map) => Math.max(map.high, -map.low)));
  const limit = Math.max(known.high, -known.low, ...maxima);
  return scaleTo(limit, maps.signed);
}
