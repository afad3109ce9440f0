// @ts-check
/** `<scs-confusion>`: of the model that is open, how many test images of each class were put into each class. */

import { make } from "./dom.js";
import { session } from "./session.js";

class Confusion extends HTMLElement {
  connectedCallback() {
    session.on(["card"], () => this.refresh());
  }

  refresh() {
    const { card } = session;
    const isOpen = this.querySelector("details")?.open;
    this.replaceChildren();
    if (!card) return;
    const accuracy = card.accuracy;
    const text = `What ${card.name} ${card.version} takes for what`;
    if (!accuracy?.confusion) {
      this.append(make("p", { class: "quiet", text: `${text}: its card has no confusion matrix.` }));
      return;
    }
    const caption = `Images of ${accuracy.dataset}, by their true class (rows) and the class that they were put into (columns). The stronger a cell's colour, the larger its share of the row: blue where right, orange where wrong.`;
    const table = make(
      "table",
      { class: "confusion" },
      make("caption", { text: caption }),
      make("thead", {}, heads(card.labels)),
      make("tbody", {}, ...accuracy.confusion.map((counts, place) => row(card.labels, counts, place))),
    );
    const region = make(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "Confusion matrix" },
      table,
    );
    this.append(make("details", { open: isOpen }, make("summary", { text }), region));
  }
}

/** @param {string[]} labels */
function heads(labels) {
  const names = labels.map((text) => make("th", { scope: "col" }, make("span", { text })));
  return make("tr", {}, make("td"), ...names);
}

/**
 * @param {string[]} labels
 * @param {number[]} counts
 * @param {number} truth place of the row's class
 */
function row(labels, counts, truth) {
  const whole = counts.reduce((sum, count) => sum + count, 0);
  const cells = counts.map((count, place) => {
    const title = `${count.toLocaleString("en")} of ${whole.toLocaleString("en")} images of ${labels[truth]} were put into ${labels[place]}`;
    const cell = make("td", { text: count.toLocaleString("en"), title, class: place === truth ? "right" : null });
    // The root, so that a few in a hundred can be told from none.
    cell.style.setProperty("--share", `${whole ? 100 * Math.sqrt(count / whole) : 0}%`);
    return cell;
  });
  return make("tr", {}, make("th", { text: labels[truth], scope: "row" }), ...cells);
}

customElements.define("scs-confusion", Confusion);
