// @ts-check
/** What the page knows: the view, the picture, and what the service answered; elements listen for changes. */

import { DEFAULTS, readAddress, writeAddress } from "./address.js";
import { Problem, ask } from "./api.js";
import { readPicture, readSample } from "./picture.js";

/** @typedef {import("./types").View} View */
/** @typedef {import("./types").Picture} Picture */
/** @typedef {"view" | "picture" | "second" | "models" | "card" | "answers" | "overview" | "maps" | "class" | "kernel" | "finds" | "notice" | "busy" | "hover"} Change */

const LOOK_AGAIN_MS = 2000;
const WRITE_MS = 150;

/** The state of the page. Each change is announced by an event of its name. */
class Session extends EventTarget {
  /** @type {View} */ view = { ...DEFAULTS };
  /** @type {Picture | null} */ picture = null;
  /** @type {Picture | null} */ second = null;
  /** @type {import("./types").ModelState[]} */ models = [];
  /** @type {import("./types").ModelCard | null} */ card = null;
  /** @type {Map<string, { answer: import("./types").Prediction, milliseconds: number } | Error>} */ answers =
    new Map();
  /** @type {import("./types").Activations | null} */ overview = null;
  /** @type {import("./types").LayerMaps | null} */ maps = null;
  /** @type {{ answer: import("./types").ClassMapAnswer, map: import("./types").PlacedMap } | null} */ classMap = null;
  /** The kernel of the open channel, or why it has none. @type {{ answer: import("./types").LayerKernel | null, why: string } | null} */
  kernel = null;
  /** What the kernels of a layer are laid over, for its maps. @type {import("./types").KernelInput | null} */ input =
    null;
  /** @type {import("./types").Finds[]} */ finds = [];
  /** Failures by what failed, and notes. @type {Map<string, string>} */ notices = new Map();
  /** Where the pointer is, in pixels of the picture. @type {{ x: number, y: number } | null} */ hover = null;
  keyNeeded = false;
  /** @type {Set<string>} */ busy = new Set();
  /** @type {Record<string, string>} */ linked = {};
  /** @type {Map<string, AbortController>} */ #running = new Map();

  /**
   * Call a listener whenever one of these changes.
   *
   * @param {Change[]} changes
   * @param {(change: string) => void} listener
   */
  on(changes, listener) {
    for (const change of changes) this.addEventListener(change, () => listener(change));
  }

  /** @param {Change} change */
  tell(change) {
    this.dispatchEvent(new Event(change));
  }

  /**
   * Change the view, and the address with it.
   *
   * @param {Partial<View>} changes
   */
  show(changes) {
    const before = this.view;
    this.view = { ...before, ...changes };
    this.writeAddress();
    this.changed = new Set(
      Object.keys(changes).filter(
        (name) => this.view[/** @type {keyof View} */ (name)] !== before[/** @type {keyof View} */ (name)],
      ),
    );
    if (this.changed.size) this.tell("view");
  }

  /** Names of the fields of the view that changed last. @type {Set<string>} */
  changed = new Set();

  /** Write the view into the address, soon: browsers refuse more than some hundred times in half a minute. */
  writeAddress() {
    clearTimeout(this.#writing);
    this.#writing = setTimeout(() => this.#writeNow(), WRITE_MS);
  }

  #writing = 0;
  /** What is behind `#` as it was read or written last. */
  #address = location.hash;

  #writeNow() {
    if (location.hash !== this.#address) return; // a link has been followed, and is about to be read
    const { picture, card } = this;
    const digests = {
      picture: picture?.digest ?? this.linked.picture ?? "",
      sample: picture ? picture.sample : (this.linked.sample ?? ""),
      file: card?.sha256.slice(0, 12) ?? this.linked.file ?? "",
    };
    history.replaceState(null, "", `${location.pathname}${location.search}#${writeAddress(this.view, digests)}`);
    this.#address = location.hash;
  }

  /** Take the view from the address, and its picture where that comes with the page. */
  async readAddress() {
    this.#address = location.hash;
    const { view, digests } = readAddress(this.#address);
    this.linked = digests;
    this.show(view);
    if (this.card?.name === view.model) this.#compareFile();
    if (digests.sample) await this.open(() => readSample(digests.sample));
    else if (digests.picture && this.picture) this.#compare(this.picture);
    else if (digests.picture) {
      this.note(
        "link",
        `This link was made for the picture ${digests.picture}…, which stayed where it was: choose it again.`,
      );
    }
  }

  /**
   * Take another picture.
   *
   * @param {() => Promise<Picture>} read
   */
  async open(read) {
    await this.run("picture", async () => {
      const picture = await read();
      if (this.picture && !this.linked.picture) this.view = { ...this.view, box: "", at: "" };
      this.#compare(picture);
      if (this.picture) URL.revokeObjectURL(this.picture.address);
      this.picture = picture;
      this.hover = null;
      this.writeAddress();
      this.tell("picture");
    });
  }

  /** Say so if a link was made for another file of the model. */
  #compareFile() {
    const { card, linked } = this;
    const { file } = linked;
    const other = card && file && !card.sha256.startsWith(file);
    const text = `This link was made for another file of ${card?.name}: ${file}…; this one is ${card?.sha256.slice(0, 12)}….`;
    this.note("file", other ? text : "");
    this.linked = { ...linked, file: "" };
  }

  /** @param {Picture} picture */
  #compare(picture) {
    const wanted = this.linked.picture;
    if (wanted && picture.digest && wanted !== picture.digest) {
      this.note("link", `This link was made for another picture: ${wanted}…; this one is ${picture.digest}….`);
    } else this.note("link", "");
    this.linked = { ...this.linked, picture: "" };
  }

  /**
   * @param {Blob} file
   * @param {string} name
   */
  openFile(file, name) {
    return this.open(() => readPicture(file, name));
  }

  /**
   * Say something until it is taken back.
   *
   * @param {string} about
   * @param {string} text empty takes it back
   */
  note(about, text) {
    if ((this.notices.get(about) ?? "") === text) return;
    if (text) this.notices.set(about, text);
    else this.notices.delete(about);
    this.tell("notice");
  }

  /**
   * Do something that may fail; what of its kind still runs is given up.
   *
   * @param {string} kind
   * @param {(signal: AbortSignal) => Promise<void>} work
   */
  async run(kind, work) {
    this.#running.get(kind)?.abort();
    const controller = new AbortController();
    this.#running.set(kind, controller);
    this.busy.add(kind);
    this.tell("busy");
    try {
      await work(controller.signal);
      if (!controller.signal.aborted) this.note(kind, "");
    } catch (error) {
      if (!controller.signal.aborted) this.#fail(kind, error);
    } finally {
      if (this.#running.get(kind) === controller) {
        this.busy.delete(kind);
        this.tell("busy");
      }
    }
  }

  /**
   * Give up what of its kind still runs; nothing of it is shown.
   *
   * @param {string} kind
   */
  giveUp(kind) {
    this.#running.get(kind)?.abort();
    this.#running.delete(kind);
    if (this.busy.delete(kind)) this.tell("busy");
  }

  /**
   * @param {string} kind
   * @param {unknown} error
   */
  #fail(kind, error) {
    if (!(error instanceof Problem)) console.error(error);
    const status = error instanceof Problem ? error.status : -1;
    if (status === 401) {
      this.keyNeeded = true;
      this.tell("notice");
    }
    this.note(kind, error instanceof Error ? error.message : String(error));
    if (status === 0 && kind !== "picture") this.#unsettled = true;
    if ((kind === "models" && status !== 401) || this.#unsettled) this.#lookAgain();
  }

  /** Whether something was not answered, and is asked for again once the service is back. */
  #unsettled = false;
  #looking = 0;

  #lookAgain() {
    clearTimeout(this.#looking);
    this.#looking = setTimeout(() => this.readModels(), LOOK_AGAIN_MS);
  }

  /** Ask which models there are, and again while one is loading. */
  readModels() {
    return this.run("models", async (signal) => {
      const { models } = await (await ask("models", { signal })).json();
      this.models = models;
      this.keyNeeded = false;
      const first = models.find((/** @type {import("./types").ModelState} */ each) => each.default) ?? models[0];
      if (!this.view.model && first) this.show({ model: first.name });
      this.tell("models");
      const waits = models.some((/** @type {import("./types").ModelState} */ each) => each.state === "LOADING");
      if (waits || models.length === 0) this.#lookAgain();
      await this.readCard(signal);
    });
  }

  /** @param {AbortSignal} [signal] */
  async readCard(signal) {
    const { model, version } = this.view;
    if (!model) return;
    const detail = await (await ask(`models/${encodeURIComponent(model)}`, { options: { version }, signal })).json();
    const before = this.card;
    const same = detail.available && before?.sha256 === detail.card?.sha256 && before?.name === model;
    if (same && !this.#unsettled) return;
    this.#unsettled = false;
    this.card = detail.available ? detail.card : null;
    this.note("card", detail.available ? "" : `${model} cannot be used yet: ${detail.reason ?? "it is loading"}`);
    this.#compareFile();
    this.writeAddress();
    this.tell("card");
  }
}

export const session = new Session();
