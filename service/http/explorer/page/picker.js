// @ts-check
/** `<scs-picker>`: the model that answers, another one beside it, and the size that the network sees. */

import { labelled, make, select } from "./dom.js";
import { session } from "./session.js";

const SIZES = /** @type {[string, string][]} */ ([
  ["card", "as trained"],
  ["256", "256 pixels"],
  ["512", "512 pixels"],
  ["1024", "1024 pixels"],
  ["none", "as it is"],
]);

class Picker extends HTMLElement {
  connectedCallback() {
    session.on(["models", "view"], () => this.refresh());
    this.refresh();
  }

  refresh() {
    const { models, view } = session;
    const wanted = JSON.stringify([
      models.map(({ name, version, state }) => [name, version, state]),
      view.model,
      view.version,
      view.other,
      view.size,
    ]);
    if (wanted === this.shown) return;
    this.shown = wanted;
    const names = [...new Set(models.map((model) => model.name))];
    const options = /** @type {[string, string][]} */ (names.map((name) => [name, nameOf(name)]));
    if (view.model && !names.includes(view.model)) options.unshift([view.model, `${view.model} (not served)`]);
    const versions = models.filter((model) => model.name === view.model).map(({ version }) => String(version));
    const focused = this.contains(document.activeElement) ? document.activeElement?.id : null;
    const model = select(options, view.model, (name) =>
      session.show({ model: name, version: "", layer: "", channel: -1, label: "", where: "pixels" }),
    );
    const version = select(
      [["", "as labelled"], .../** @type {[string, string][]} */ (versions.map((each) => [each, each]))],
      view.version,
      (chosen) => session.show({ version: chosen }),
    );
    const other = select([["", "none"], ...options.filter(([name]) => name !== view.model)], view.other, (name) =>
      session.show({ other: name }),
    );
    const size = select(SIZES, view.size, (chosen) => session.show({ size: chosen }));
    Object.entries({ model, version, other, size }).forEach(([id, control]) => (control.id = `pick-${id}`));
    const labels = [
      labelled("Model", model),
      ...(versions.length > 1 || view.version ? [labelled("Version", version)] : []),
      labelled("Beside it", other),
      labelled("Layers at", size, "Longer side of the picture that the network's layers are shown for, at most"),
    ];
    this.replaceChildren(make("div", { class: "row" }, ...labels));
    if (focused) document.getElementById(focused)?.focus();
  }

  /** @type {string | undefined} */ shown;
}

/**
 * @param {string} name
 * @returns {string}
 */
function nameOf(name) {
  const ready = session.models.some((model) => model.name === name && model.available);
  const loading = session.models.some((model) => model.name === name && model.state === "LOADING");
  return ready ? name : `${name} (${loading ? "loading" : "not available"})`;
}

customElements.define("scs-picker", Picker);
