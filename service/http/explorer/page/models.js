// @ts-check
/** `<scs-models>`: every model that is served, with what its card says. */

import { ask } from "./api.js";
import { make } from "./dom.js";
import { session } from "./session.js";

/** @typedef {import("./types").ModelDetail} ModelDetail */

const HEADS = [
  "model",
  "state",
  "parameters",
  "input",
  "accuracy",
  "95% interval",
  "class kept after a shift",
  "licence",
  "",
];

class Models extends HTMLElement {
  connectedCallback() {
    session.on(["models"], () => this.read());
  }

  read() {
    return session.run("cards", async (signal) => {
      const details = await Promise.all(
        session.models.map(async ({ name, version }) => {
          const answer = await ask(`models/${encodeURIComponent(name)}`, { options: { version }, signal });
          return /** @type {ModelDetail} */ (await answer.json());
        }),
      );
      const head = make("tr", {}, ...HEADS.map((text) => (text ? make("th", { text, scope: "col" }) : make("td"))));
      const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...details.map(row)));
      this.replaceChildren(
        make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Every model" }, table),
      );
    });
  }
}

/** @param {ModelDetail} detail */
function row(detail) {
  const { card } = detail;
  const labels = [...detail.labels, ...(detail.default ? ["default"] : [])];
  const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(2)}%`;
  const accuracy = card?.accuracy;
  const shown = [
    detail.state.toLowerCase() + (detail.reason ? `: ${detail.reason}` : ""),
    card?.parameters.toLocaleString("en") ?? "",
    card ? `${card.input.width}×${card.input.height}×${card.input.channels}` : "",
    accuracy
      ? `${percent(accuracy.accuracy)} of ${accuracy.images.toLocaleString("en")}, ${accuracy.dataset}`
      : "not measured",
    accuracy ? `${percent(accuracy.low)} to ${percent(accuracy.high)}` : "",
    card?.equivariance ? percent(card.equivariance.as_served.class_kept) : "not measured",
    card?.licence ?? "",
  ];
  const use = () =>
    session.show({
      model: detail.name,
      version: detail.default_version ? "" : String(detail.version),
      layer: "",
      channel: -1,
      label: "",
    });
  const name = `${detail.name} ${detail.version}${labels.length ? ` (${labels.join(", ")})` : ""}`;
  return make(
    "tr",
    {},
    make("th", { text: name, scope: "row", title: card?.description }),
    ...shown.map((text) => make("td", { text })),
    make(
      "td",
      {},
      make("button", {
        type: "button",
        text: "Open",
        "aria-label": `Open ${detail.name} ${detail.version}`,
        onclick: use,
        disabled: !detail.available,
      }),
    ),
  );
}

customElements.define("scs-models", Models);
