// @ts-check
/** `<scs-answers>`: the most probable classes as bars, of one model or of two side by side. */

import { make, short } from "./dom.js";
import { session } from "./session.js";

/** @typedef {import("./types").Ranked} Ranked */

const NO_MODEL = "No model is served here; templates are found all the same. scs import or scs teach brings a model.";

class Answers extends HTMLElement {
  connectedCallback() {
    session.on(["answers", "picture"], () => this.refresh());
    session.on(["models"], () => {
      if (session.models.length === 0) this.replaceChildren(make("p", { class: "quiet", text: NO_MODEL }));
      else if (session.answers.size === 0) this.replaceChildren();
    });
  }

  refresh() {
    const columns = [...session.answers].map(([model, said]) => {
      const heading = make("h3", { text: model });
      if (said instanceof Error)
        return make("div", { class: "answer" }, heading, make("p", { class: "failure", text: said.message }));
      const { answer, milliseconds } = said;
      const time = `${short(answer.timing.inference_ms)} ms in the network, ${Math.round(milliseconds)} ms in all`;
      const bars = answer.predictions[0].classes.map((each) => this.bar(each));
      return make(
        "div",
        { class: "answer" },
        heading,
        make("ol", { class: "bars" }, ...bars),
        make("p", { class: "quiet", text: time }),
      );
    });
    this.replaceChildren(...columns);
  }

  /** @param {Ranked} ranked */
  bar(ranked) {
    const value = ranked.probability ?? ranked.score ?? 0;
    const text = ranked.probability === undefined ? short(value) : `${(100 * value).toFixed(1)}%`;
    const fill = make("span", { class: "fill", "aria-hidden": "true" });
    fill.style.width = `${100 * Math.min(1, Math.abs(value))}%`;
    const choose = () => session.show({ label: ranked.label, shown: "class" });
    const title = `Show where it looks like ${ranked.label}`;
    return make(
      "li",
      {},
      make(
        "button",
        { type: "button", class: "bar", title, onclick: choose },
        fill,
        make("span", { text: ranked.label }),
        make("span", { text }),
      ),
    );
  }
}

customElements.define("scs-answers", Answers);
