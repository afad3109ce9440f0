// @ts-check
/** `<scs-graph>`: of the model that is open, which layer feeds which, as a drawing and as a table. */

import { ask } from "./api.js";
import { make } from "./dom.js";
import { drawGraph } from "./graph_drawing.js";
import { session } from "./session.js";

/** @typedef {import("./types").ModelGraph} ModelGraph */

class Graph extends HTMLElement {
  connectedCallback() {
    this.summary = make("summary");
    this.body = make("div", { class: "graph" });
    this.details = make("details", { ontoggle: () => this.read() }, this.summary, this.body);
    session.on(["card"], () => this.refresh());
  }

  refresh() {
    const { card } = session;
    this.body?.replaceChildren();
    session.note("graph", "");
    if (!card || !this.details || !this.summary) {
      this.replaceChildren();
      return;
    }
    this.summary.textContent = `How the layers of ${card.name} ${card.version} depend on one another`;
    if (!this.details.isConnected) this.replaceChildren(this.details);
    this.read();
  }

  /** Ask for the graph once somebody wants to see it. */
  read() {
    const { card } = session;
    if (!card || !this.details?.open || this.body?.hasChildNodes()) return;
    session.run("graph", async (signal) => {
      const route = `models/${encodeURIComponent(card.name)}/graph`;
      const answer = await ask(route, { options: { version: card.version }, signal });
      const graph = /** @type {ModelGraph} */ (await answer.json());
      if (session.card !== card) return;
      const drawing = region("Drawing of the graph", drawGraph(graph));
      const listed = region("The graph as a table", tableOf(graph));
      this.body?.replaceChildren(drawing, listed);
    });
  }
}

/**
 * Return what is wider than the page, in a place of its own that the keyboard can scroll.
 *
 * @param {string} name
 * @param {Element} content
 */
function region(name, content) {
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": name }, content);
}

/** @param {ModelGraph} graph */
function tableOf({ nodes, edges }) {
  const heads = ["layer", "shape", "parameters", "made of, by"].map((text) => make("th", { text, scope: "col" }));
  const rows = nodes.map((node, place) => {
    const ways = edges
      .filter((edge) => edge.target === place)
      .map((edge) => make("li", { text: [nameOf(nodes, edge.source), ...edge.operators].join(" → ") }));
    return make(
      "tr",
      {},
      make("th", { text: nameOf(nodes, place), scope: "row" }),
      make("td", { text: node.shape?.join(" × ") ?? "" }),
      make("td", { text: node.parameters ? node.parameters.toLocaleString("en") : "" }),
      make("td", {}, ways.length ? make("ul", {}, ...ways) : null),
    );
  });
  const caption =
    "Layers in the order of the network. A place where branches come together has a way for each of them.";
  return make(
    "table",
    {},
    make("caption", { text: caption }),
    make("thead", {}, make("tr", {}, ...heads)),
    make("tbody", {}, ...rows),
  );
}

/**
 * Return the name of a node; joins are numbered, as many have the same operator.
 *
 * @param {ModelGraph["nodes"]} nodes
 * @param {number} place
 */
function nameOf(nodes, place) {
  const { kind, name } = nodes[place];
  if (kind !== "join") return name;
  return `${name} ${nodes.slice(0, place + 1).filter((node) => node.kind === "join").length}`;
}

customElements.define("scs-graph", Graph);
