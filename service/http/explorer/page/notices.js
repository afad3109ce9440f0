// @ts-check
/** `<scs-notices for="…">`: what went wrong, or is under way, beside the thing itself; `<scs-key>` takes an API key. */

import { enterKey } from "./api.js";
import { labelled, make } from "./dom.js";
import { session } from "./session.js";

class Notices extends HTMLElement {
  connectedCallback() {
    this.kinds = (this.getAttribute("for") ?? "").split(" ");
    this.setAttribute("role", "status");
    session.on(["notice", "busy"], () => this.refresh());
  }

  /** @type {string[]} */ kinds = [];

  refresh() {
    const texts = this.kinds.map((kind) => session.notices.get(kind));
    const said = this.kinds.flatMap((kind, at) => {
      const text = texts[at];
      return text && texts.indexOf(text) === at ? [make("p", { class: "failure", "data-notice": kind, text })] : [];
    });
    this.replaceChildren(...said);
    this.classList.toggle(
      "busy",
      this.kinds.some((kind) => session.busy.has(kind)),
    );
  }
}

class Key extends HTMLElement {
  connectedCallback() {
    this.field = make("input", { type: "password", autocomplete: "off", required: true });
    const form = make(
      "form",
      { class: "row" },
      labelled("API key", this.field),
      make("button", { type: "submit", text: "Use this key" }),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      enterKey(this.field?.value ?? "");
      session.readModels();
    });
    this.append(make("p", { text: "This service needs a key. It is kept until the tab is closed." }), form);
    this.hidden = true;
    session.on(["notice", "models"], () => {
      if (this.hidden === session.keyNeeded) this.hidden = !session.keyNeeded;
    });
  }
}

customElements.define("scs-notices", Notices);
customElements.define("scs-key", Key);
