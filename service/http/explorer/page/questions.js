// @ts-check
/** What is asked of the service when the picture, the model or the view changes. */

import { Problem, ask, askAbout } from "./api.js";
import { readArchive, readNpz } from "./arrays.js";
import { bounds, cornersOf, mapArea, matchArea, overlap, parseBox } from "./places.js";
import { session } from "./session.js";

/** @typedef {import("./types").Activations} Activations */
/** @typedef {import("./types").Area} Area */

const NPZ = "application/x-npz";
const ZIP = "application/zip"; // the same, and the JSON answer
const MOST_MAPS = 512; // in one answer of the service
const MOST_NUMBERS = 24e6; // that are kept of one layer
const LEAST_WINS = /^sqdiff/; // methods by which a low score is a good one
const SAME = 0.3; // intersection over union from which a find is the box itself

/** The last question about a box; answers of one before it start nothing more. */
let lastBox = {};

/** Ask anew what depends on what has changed. */
export function listen() {
  session.on(["picture", "card"], () => {
    if (!session.picture || !session.card) return;
    askClasses();
    askOverview();
  });
  session.on(["view"], () => {
    const changed = session.changed;
    const any = (/** @type {string[]} */ ...names) => names.some((name) => changed.has(name));
    if (any("model", "version")) session.run("card", (signal) => session.readCard(signal));
    if (!session.picture || !session.card || any("model", "version")) return;
    if (any("other")) askClasses();
    if (any("size")) askOverview();
    else {
      if (any("layer")) askMaps();
      if (any("label")) askClassMap();
      if (any("box", "method", "angles", "scales", "top", "least")) askFinds();
    }
  });
  session.on(["second"], askFinds);
}

/** @returns {Record<string, string>} the options that choose the model and the size it sees */
export function modelOptions() {
  const { picture, card, view } = session;
  const longer = picture ? Math.max(picture.width, picture.height) : 0;
  const fixed = card?.input.fixed;
  const size = fixed ? "card" : Number(view.size) >= longer ? "none" : view.size;
  return { model: view.model, version: view.version, resize: size };
}

/** @returns {import("./types").Picture} the picture, where there is one */
function pictureNow() {
  return /** @type {import("./types").Picture} */ (session.picture);
}

function askClasses() {
  const show = (/** @type {typeof session.answers} */ answers) => {
    session.answers = answers;
    session.tell("answers");
  };
  session.run("answers", async (signal) => {
    const names = [session.view.model, session.view.other].filter(Boolean);
    const body = session.picture?.file;
    const answers = await Promise.all(
      names.map(async (model) => {
        const started = performance.now();
        const version = model === session.view.model ? session.view.version : "";
        try {
          const answer = await (await ask("predict", { options: { model, version, top_k: 5 }, body, signal })).json();
          return { answer, milliseconds: performance.now() - started };
        } catch (error) {
          if (error instanceof Problem && error.status >= 404) return error; // of one model; the other may answer
          if (!signal.aborted) show(new Map()); // what was said of another picture is not of this one
          throw error;
        }
      }),
    );
    if (!signal.aborted) show(new Map(names.map((name, at) => [name, answers[at]])));
  });
}

function askOverview() {
  session.overview = session.maps = session.classMap = null;
  lastBox = {};
  session.run("overview", async (signal) => {
    const options = { ...modelOptions(), layers: "all", channels: "top1" };
    try {
      session.overview = await (await askAbout("activations", pictureNow(), { options, signal })).json();
    } finally {
      if (!signal.aborted) forgetBefore(); // of a picture that failed nothing is shown, least of all another's layers
    }
    const { layer, label } = session.view;
    if (layer) askMaps();
    if (label) askClassMap();
    askFinds();
  });
}

/** Show nothing that was made of another picture, model or size. */
function forgetBefore() {
  session.finds = [];
  for (const change of /** @type {const} */ (["overview", "maps", "class", "finds"])) session.tell(change);
}

export function askMaps() {
  const layer = session.overview?.layers.find((each) => each.name === session.view.layer);
  session.maps = null;
  session.tell("maps");
  const overview = session.overview;
  if (!layer || !overview) return;
  session.run("maps", async (signal) => {
    const [count, rows, columns] = layer.shape;
    const most = Math.max(1, Math.min(MOST_MAPS, Math.floor(MOST_NUMBERS / (rows * columns))));
    const options = { ...modelOptions(), layers: layer.name, channels: count <= most ? "all" : `top${most}` };
    const answer = await askAbout("activations", pictureNow(), { options, accept: NPZ, signal });
    const arrays = readNpz(await answer.arrayBuffer());
    const maps = arrays.get(layer.name);
    const channels = arrays.get(`${layer.name}.channels`);
    if (!maps || !channels) throw new Error(`the answer has no ${layer.name}`);
    const energy = new Map(layer.energies.map((each) => [each.channel, each.energy]));
    const numbers = Array.from(channels.data);
    session.maps = {
      layer: layer.name,
      channels: numbers,
      rows,
      columns,
      data: /** @type {Float32Array} */ (maps.data),
      energies: numbers.map((channel) => energy.get(channel) ?? 0),
      signed: layer.signed,
      field: layer.receptive_field,
      area: mapArea(overview, layer.receptive_field, rows, columns),
      complete: numbers.length === count,
    };
    session.tell("maps");
  });
}

function askClassMap() {
  session.classMap = null;
  session.tell("class");
  const { view, card, overview } = session;
  if (!view.label || !card || !overview) return;
  session.run("class", async (signal) => {
    const layer = card.class_map ?? card.layers[card.layers.length - 1].name;
    const options = { ...modelOptions(), layers: layer, channels: "top1", class: view.label };
    const reply = await askAbout("activations", pictureNow(), { options, accept: ZIP, signal });
    const { arrays, answer } = readArchive(await reply.arrayBuffer());
    const content = /** @type {Activations} */ (answer);
    const map = [...arrays].find(([name]) => name.startsWith("class:"))?.[1]; // a slash of the label is no slash there
    if (!content.class_map || !map) throw new Error("the answer has no class map");
    const [rows, columns] = map.shape;
    const field = content.layers[0].receptive_field;
    session.classMap = {
      answer: content.class_map,
      map: {
        values: /** @type {Float32Array} */ (map.data),
        rows,
        columns,
        area: mapArea(content, field, rows, columns),
        signed: content.layers[0].signed,
        title: `class ${content.class_map.label}`,
      },
    };
    session.tell("class");
  });
}

/**
 * Look for what is in the box: in the pixels, and in every layer; first in the layer that is open and looked at. One
 * after another where nobody waits, so that another box finds a core that is free.
 */
export async function askFinds() {
  for (const kind of ["pixels", "features"]) session.giveUp(kind);
  session.finds = [];
  session.tell("finds");
  const own = (lastBox = {});
  const box = parseBox(session.view.box);
  if (!box || !session.picture || !session.overview) return;
  const { layer, where } = session.view;
  const comparable = !session.second; // features are compared within one picture
  const inLayers = (/** @type {string} */ layers) =>
    session.run("features", (signal) => askLayers(layers, box, signal));
  const first = comparable && layer ? inLayers(layer) : null;
  if (where === layer) await first; // and does not share the cores with what is not looked at
  if (lastBox !== own) return;
  await Promise.all([first, session.run("pixels", (signal) => askPixels(box, signal))]);
  if (comparable && lastBox === own) inLayers("all");
}

/** @returns {Record<string, string | number>} */
export function matchOptions() {
  const { method, angles, scales, top, least, box, model, version, layer } = session.view;
  /** @type {Record<string, string>} */
  const network = method === "features" ? { model, version, layer } : {};
  return { box, method, angles, scales, top: top + 1, threshold: least, ...network }; // one more, for the box itself
}

/**
 * @param {Area} box
 * @param {AbortSignal} signal
 */
async function askPixels(box, signal) {
  const picture = pictureNow();
  const scene = session.second ?? picture;
  const whole = () => {
    const body = new FormData();
    body.append("scene", scene.file, scene.name);
    if (scene !== picture) body.append("reference", picture.file, picture.name);
    return body;
  };
  const options = matchOptions();
  const started = performance.now();
  const reply = await (scene === picture
    ? askAbout("match", picture, { options, whole, accept: ZIP, signal })
    : ask("match", { options, body: whole(), accept: ZIP, signal }));
  const { arrays, answer } = readArchive(await reply.arrayBuffer());
  const found = /** @type {import("./types").Matches} */ (answer);
  const map = arrays.get("scores");
  if (!map) throw new Error("the answer has no scores");
  const [rows, columns] = map.shape;
  const finds = found.matches.map((match) => ({
    corners: match.corners,
    score: match.score,
    evidence: match.evidence,
    present: match.present,
    own: !session.second && overlap(box, bounds(match.corners)) > SAME,
  }));
  keep({
    where: "pixels",
    finds,
    milliseconds: performance.now() - started,
    map: {
      values: /** @type {Float32Array} */ (map.data),
      rows,
      columns,
      area: { x: (found.width - columns) / 2, y: (found.height - rows) / 2, width: columns, height: rows },
      signed: map.data.some((/** @type {number} */ value) => value < 0),
      title: `${session.view.method} in the pixels`,
    },
  });
}

/**
 * @param {string} layers
 * @param {Area} box
 * @param {AbortSignal} signal
 */
async function askLayers(layers, box, signal) {
  const overview = /** @type {Activations} */ (session.overview);
  const { box: text, top } = session.view;
  const options = { ...modelOptions(), layers, channels: "top1", box: text, peaks: top + 1 };
  const started = performance.now();
  const answer = await askAbout("activations", pictureNow(), { options, accept: NPZ, signal });
  const arrays = readNpz(await answer.arrayBuffer());
  const milliseconds = performance.now() - started;
  for (const layer of overview.layers) {
    const map = arrays.get(`${layer.name}.match`);
    const peaks = arrays.get(`${layer.name}.peaks`);
    if (!map || !peaks) continue;
    const [rows, columns] = map.shape;
    const area = matchArea(overview, layer.receptive_field, box, rows, columns);
    const values = /** @type {Float32Array} */ (map.data);
    const title = `features of ${layer.name}`;
    const placed = { values, rows, columns, area, signed: true, title };
    keep({ where: layer.name, finds: findsOf(peaks, box), milliseconds, map: placed });
  }
}

/**
 * @param {import("./types").NumberArray} peaks (n, 5): x, y, width, height and score of each
 * @param {Area} box
 * @returns {import("./types").Find[]}
 */
function findsOf(peaks, box) {
  return Array.from({ length: peaks.shape[0] }, (_, at) => {
    const [x, y, width, height, score] = peaks.data.subarray(5 * at, 5 * at + 5);
    const place = { x, y, width, height };
    return { corners: cornersOf(place), score, evidence: null, present: null, own: overlap(box, place) > SAME };
  });
}

/**
 * Keep what was found. The colours of its map run to the best find beside the box itself, which would outshine all.
 *
 * @param {import("./types").Finds} found
 */
function keep(found) {
  const best = Math.max(0, ...found.finds.filter((find) => !find.own).map((find) => find.score));
  if (found.map && best > 0 && !LEAST_WINS.test(session.view.method)) found.map.limit = best;
  session.finds = [...session.finds.filter((each) => each.where !== found.where), found];
  session.tell("finds");
}
