// @ts-check
/** `<scs-finds>`: where else the box occurs, in the pixels and in each layer, with scores and evidence. */

import { make, short } from "./dom.js";
import { session } from "./session.js";

/** @typedef {import("./types").Finds} Finds */
/** @typedef {import("./types").Find} Find */

class FindsTable extends HTMLElement {
  connectedCallback() {
    this.setAttribute("aria-live", "off");
    session.on(["finds"], () => this.refresh());
    session.on(["view"], () => {
      if (session.changed.has("where") || session.changed.has("shown")) this.refresh();
    });
  }

  refresh() {
    const { finds, view, overview } = session;
    if (!finds.length) {
      this.replaceChildren();
      return;
    }
    const order = ["pixels", ...(overview?.layers ?? []).map((layer) => layer.name)];
    const sorted = [...finds].sort((a, b) => order.indexOf(a.where) - order.indexOf(b.where));
    const chosen = sorted.find((each) => each.where === view.where);
    const buttons = sorted.map((each) => this.place(each));
    const focused = this.contains(document.activeElement) ? document.activeElement?.getAttribute("data-where") : null;
    this.replaceChildren(
      make("div", { class: "places", role: "group", "aria-label": "Where it was looked for" }, ...buttons),
      ...(chosen ? [table(chosen)] : []),
    );
    if (focused)
      /** @type {HTMLElement | null} */ (this.querySelector(`[data-where="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {Finds} found */
  place(found) {
    const best = found.finds.find((find) => !find.own);
    const pressed = session.view.where === found.where && session.view.shown === "match";
    return make(
      "button",
      {
        type: "button",
        "data-where": found.where,
        "aria-pressed": String(pressed),
        onclick: () => session.show({ where: found.where, shown: "match" }),
      },
      make("strong", { text: found.where }),
      make("span", { text: best ? short(best.score) : "nothing" }),
    );
  }
}

/** @param {Finds} found */
function table(found) {
  const others = found.finds.filter((find) => !find.own);
  const rows = [...found.finds.filter((find) => find.own), ...others].map((find) =>
    row(find, others.indexOf(find) + 1),
  );
  const heads = ["", "centre", "score", ...(found.where === "pixels" ? ["evidence", ""] : [])];
  const said =
    found.where === "pixels"
      ? ""
      : " Features are not judged: a score says what is most alike, not whether it is the same.";
  const limit = found.map?.limit ? `; the colours run to the best of them, ${short(found.map.limit)}` : "";
  const time = found.milliseconds === null ? "" : ` ${Math.round(found.milliseconds)} ms.`;
  return make(
    "div",
    {},
    make(
      "table",
      {},
      make("caption", { text: `Where the box occurs in ${found.where === "pixels" ? "the pixels" : found.where}` }),
      make(
        "thead",
        {},
        make("tr", {}, ...heads.map((text) => make(text ? "th" : "td", text ? { text, scope: "col" } : {}))),
      ),
      make("tbody", {}, ...rows),
    ),
    make("p", { class: "quiet", text: `${others.length} beside the box itself${limit}.${said}${time}` }),
  );
}

/**
 * @param {Find} find
 * @param {number} number
 */
function row(find, number) {
  const across = find.corners.reduce((sum, [x]) => sum + x, 0) / find.corners.length;
  const down = find.corners.reduce((sum, [, y]) => sum + y, 0) / find.corners.length;
  const cells = [
    find.own ? "your box" : String(number),
    `${across.toFixed(1)}, ${down.toFixed(1)}`,
    find.score.toFixed(3),
  ];
  if (find.present !== null)
    cells.push(
      find.evidence === null ? "not known" : short(find.evidence),
      find.own ? "" : find.present ? "is there" : "is not there",
    );
  return make("tr", { class: find.own ? "own" : "" }, ...cells.map((text) => make("td", { text })));
}

customElements.define("scs-finds", FindsTable);
