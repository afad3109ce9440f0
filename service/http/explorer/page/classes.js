// @ts-check
/** `<scs-classes>`: the map of a class over the picture, and the numbers that make it exact. */

import { labelled, make, select, short } from "./dom.js";
import { session } from "./session.js";

class Classes extends HTMLElement {
  connectedCallback() {
    this.chosen = make("div", {});
    this.numbers = make("p", { class: "numbers", role: "status" });
    this.append(this.chosen, this.numbers);
    session.on(["card", "view"], () => this.refresh());
    session.on(["class"], () => this.showNumbers());
  }

  refresh() {
    const labels = session.card?.labels ?? [];
    const wanted = `${session.card?.sha256} ${session.view.label}`;
    if (wanted === this.shown) return;
    this.shown = wanted;
    const options = /** @type {[string, string][]} */ ([["", "none"], ...labels.map((label) => [label, label])]);
    const choice = select(options, session.view.label, (label) =>
      session.show({ label, shown: label ? "class" : "channel" }),
    );
    this.chosen?.replaceChildren(
      labels.length ? labelled("Map of the class", choice) : make("p", { text: "This model has no classes." }),
    );
  }

  /** @type {string | undefined} */ shown;

  showNumbers() {
    if (!this.numbers) return;
    const answer = session.classMap?.answer;
    this.numbers.replaceChildren();
    if (!answer) return;
    if (answer.method && answer.method !== "exact") {
      this.numbers.textContent = `An approximation, by ${answer.method}: its mean is not the logit.`;
      return;
    }
    const value = answer.pooling === "maximum" ? answer.maximum : answer.mean;
    const sum = value + answer.bias;
    const exact = Math.abs(sum - answer.logit) <= 1e-3 * Math.max(1, Math.abs(answer.logit));
    this.numbers.append(
      `The ${answer.pooling} of this map, ${signed(value)}, plus the bias, ${signed(answer.bias)}, is the logit of ${answer.label}: `,
      make("strong", { text: signed(answer.logit) }),
      exact ? ". It is exact." : `, up to ${short(Math.abs(sum - answer.logit))}.`,
    );
  }
}

/**
 * @param {number} value
 * @returns {string}
 */
function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}

customElements.define("scs-classes", Classes);
