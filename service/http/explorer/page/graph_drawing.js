// @ts-check
/** The drawing of a network's graph: layers along a line, and what skips some of them in lanes beside it. */

import { draw } from "./dom.js";

/** @typedef {import("./types").ModelGraph} ModelGraph */
/** @typedef {ModelGraph["nodes"][number]} GraphNode */
/** @typedef {ModelGraph["edges"][number]} GraphEdge */
/** @typedef {{ edge: GraphEdge, text: string, lane: number }} Skip an edge beside the line */

const WIDTH = 262; // of a layer's box; all in pixels
const HEIGHT = 44;
const JOIN = { width: 62, height: 22 };
const LINE = 24; // where the line runs, from the left
const TEXT = 16; // from one line of operators to the next
const GAP = 12; // above and below them
const LANE = 16;
const LETTER = 7; // width of one at the size of operators
const COLUMNS = 31; // letters in a line of operators
const ROWS = 4; // lines of operators
const SKIPPED = 14; // letters beside a lane; of more, how many operators there are

/**
 * Draw a graph from the picture down to the logits.
 *
 * @param {ModelGraph} graph
 * @returns {SVGElement}
 */
export function drawGraph({ model, version, nodes, edges }) {
  const straight = straightEdges(nodes, edges);
  const skips = inLanes(edges.filter((edge) => !straight.includes(edge)).map((edge) => skipOf(nodes, edge)));
  const lines = straight.map((edge) => (edge ? wrapped(operatorsOf(nodes, edge)) : []));
  const tops = topsOf(nodes, lines);
  const lanes = laneStarts(skips);
  const middle = (/** @type {number} */ place) => tops[place] + heightOf(nodes[place]) / 2;
  const size = {
    width: lanes[lanes.length - 1] + 2,
    height: tops[nodes.length - 1] + heightOf(nodes[nodes.length - 1]) + 2,
  };
  const label = `The graph of ${model} ${version}: ${nodes.length} nodes and ${edges.length} ways between them; the table has the same in words`;
  return draw(
    "svg",
    { ...size, viewBox: `-1 -1 ${size.width} ${size.height}`, role: "img", "aria-label": label, class: "network" },
    ...skips.map((skip) => drawSkip(nodes, skip, lanes, middle)),
    ...nodes.flatMap((node, place) => [
      ...(straight[place] ? [drawLine(tops, nodes, place)] : []),
      ...lines[place].map((text, row) =>
        words(LINE + 12, tops[place] - GAP - TEXT * (lines[place].length - row - 0.75), text),
      ),
      drawNode(node, tops[place]),
    ]),
  );
}

/**
 * Choose of each node's edges the one along the line: from the node before it, by the most operators.
 *
 * @param {GraphNode[]} nodes
 * @param {GraphEdge[]} edges
 * @returns {(GraphEdge | undefined)[]}
 */
function straightEdges(nodes, edges) {
  return nodes.map((_, place) =>
    edges
      .filter((edge) => edge.target === place && edge.source === place - 1)
      .reduce(
        (best, edge) => (!best || edge.operators.length > best.operators.length ? edge : best),
        /** @type {GraphEdge | undefined} */ (undefined),
      ),
  );
}

/**
 * List an edge's operators, several of a kind in a row as one; the join's own is written on it.
 *
 * @param {GraphNode[]} nodes
 * @param {GraphEdge} edge
 * @returns {string[]}
 */
function operatorsOf(nodes, edge) {
  const own = nodes[edge.target].kind === "join" ? edge.operators.slice(0, -1) : edge.operators;
  /** @type {{ name: string, times: number }[]} */
  const runs = [];
  for (const name of own) {
    const last = runs[runs.length - 1];
    if (last?.name === name) last.times += 1;
    else runs.push({ name, times: 1 });
  }
  return runs.map(({ name, times }) => (times > 1 ? `${name} ×${times}` : name));
}

/**
 * Write operators in a few lines.
 *
 * @param {string[]} operators
 * @returns {string[]}
 */
function wrapped(operators) {
  const lines = [""];
  for (const [place, name] of operators.entries()) {
    const text = place < operators.length - 1 ? `${name} → ` : name;
    if ((lines[lines.length - 1] + text).length > COLUMNS && lines[lines.length - 1]) {
      if (lines.length === ROWS)
        return [...lines.slice(0, -1), `… and ${operators.length - place + countIn(lines[ROWS - 1])} more`];
      lines.push("");
    }
    lines[lines.length - 1] += text;
  }
  return operators.length ? lines : [];
}

/** @param {string} line */
function countIn(line) {
  return line.split(" → ").filter(Boolean).length;
}

/**
 * @param {GraphNode[]} nodes
 * @param {GraphEdge} edge
 * @returns {Skip}
 */
function skipOf(nodes, edge) {
  const operators = operatorsOf(nodes, edge);
  const text = operators.join(" → ");
  return { edge, text: text.length > SKIPPED ? `${operators.length} operators` : text, lane: 0 };
}

/**
 * Give each skip the innermost lane that is free along it, short ones first.
 *
 * @param {Skip[]} skips
 * @returns {Skip[]}
 */
function inLanes(skips) {
  const length = (/** @type {Skip} */ { edge }) => edge.target - edge.source;
  /** @type {Skip[]} */
  const placed = [];
  for (const skip of [...skips].sort((a, b) => length(a) - length(b))) {
    const { source, target } = skip.edge;
    const taken = placed.filter(({ edge }) => edge.source < target && source < edge.target).map(({ lane }) => lane);
    while (taken.includes(skip.lane)) skip.lane += 1;
    placed.push(skip);
  }
  return placed;
}

/**
 * Return where each lane begins, and where the last one ends: a lane is as wide as what is written beside it.
 *
 * @param {Skip[]} skips
 * @returns {number[]}
 */
function laneStarts(skips) {
  const starts = [WIDTH + (skips.length ? LANE : 0)];
  const count = Math.max(-1, ...skips.map(({ lane }) => lane)) + 1;
  for (let lane = 0; lane < count; lane += 1) {
    const letters = Math.max(...skips.filter((skip) => skip.lane === lane).map(({ text }) => text.length));
    starts.push(starts[lane] + LANE + letters * LETTER);
  }
  return starts;
}

/** @param {GraphNode} node */
function heightOf(node) {
  return node.kind === "join" ? JOIN.height : HEIGHT;
}

/**
 * @param {GraphNode[]} nodes
 * @param {string[][]} lines operators above each
 * @returns {number[]}
 */
function topsOf(nodes, lines) {
  /** @type {number[]} */
  const tops = [];
  for (const place of nodes.keys()) {
    const before = place ? tops[place - 1] + heightOf(nodes[place - 1]) + 2 * GAP : 0;
    tops.push(before + TEXT * lines[place].length);
  }
  return tops;
}

/**
 * @param {number[]} tops
 * @param {GraphNode[]} nodes
 * @param {number} place
 */
function drawLine(tops, nodes, place) {
  const from = tops[place - 1] + heightOf(nodes[place - 1]);
  return draw("path", { class: "way", d: `M${LINE} ${from}V${tops[place]}m-4 -7l4 7l4 -7` });
}

/**
 * @param {GraphNode[]} nodes
 * @param {Skip} skip
 * @param {number[]} lanes
 * @param {(place: number) => number} middle
 */
function drawSkip(nodes, { edge, text, lane }, lanes, middle) {
  const [from, to] = [edge.source, edge.target].map((place) => (nodes[place].kind === "join" ? JOIN.width : WIDTH));
  const [top, bottom] = [middle(edge.source) + 4, middle(edge.target) - 4];
  const x = lanes[lane];
  const way = `M${from} ${top}H${x - 8}q8 0 8 8V${bottom - 8}q0 8 -8 8H${to}m7 -4l-7 4l7 4`;
  return draw("g", {}, draw("path", { class: "skip", d: way }), words(x + 6, (top + bottom) / 2 + 4, text));
}

/**
 * @param {GraphNode} node
 * @param {number} top
 */
function drawNode(node, top) {
  const { kind, name, shape, parameters } = node;
  if (kind === "join") {
    const box = draw("rect", { y: top, ...JOIN, rx: JOIN.height / 2, class: "node-join" });
    return draw("g", {}, box, words(JOIN.width / 2, top + 15, name.toLowerCase(), "joined"));
  }
  const held = parameters ? `, ${parameters.toLocaleString("en")} parameters` : "";
  return draw(
    "g",
    {},
    draw("rect", { y: top, width: WIDTH, height: HEIGHT, rx: 6, class: `node-${kind}` }),
    words(10, top + 18, name.length > 28 ? `${name.slice(0, 27)}…` : name, "name"),
    words(10, top + 35, (shape?.join(" × ") ?? "") + held),
  );
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {string} [kind]
 */
function words(x, y, text, kind = "") {
  const written = draw("text", { x, y, class: kind });
  written.textContent = text;
  return written;
}
