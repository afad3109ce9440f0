// @ts-check
/** `<scs-favourites>`: the patches of this picture to which the chosen channel answers most. */

import { make, short } from "./dom.js";
import { channelMap } from "./overlay.js";
import { cut } from "./picture.js";
import { overlap, seenBy } from "./places.js";
import { session } from "./session.js";

/** @typedef {import("./types").Area} Area */

const MOST = 6;
const APART = 0.2; // intersection over union of two patches, at most

class Favourites extends HTMLElement {
  connectedCallback() {
    session.on(["maps"], () => this.refresh());
    session.on(["view"], () => {
      if (session.changed.has("channel")) this.refresh();
    });
  }

  refresh() {
    const { maps, view, picture, overview } = session;
    const at = maps?.channels.indexOf(view.channel) ?? -1;
    if (!maps || !picture || !overview || at < 0 || maps.field.everywhere) {
      this.replaceChildren();
      return;
    }
    const { values } = channelMap(maps, at);
    const found = best(values, maps.columns, (row, column) => seenBy(overview, maps.field, row, column));
    const figures = found.map(({ area, value }) => {
      const canvas = make("canvas", {
        class: "patch",
        role: "img",
        "aria-label": `A patch with the value ${short(value)}`,
      });
      cut(picture, area, canvas);
      return make("figure", {}, canvas, make("figcaption", { text: short(value) }));
    });
    this.replaceChildren(
      make("p", { class: "quiet", text: `What channel ${view.channel} of ${maps.layer} answers to most, here:` }),
      make("div", { class: "row patches" }, ...figures),
    );
  }
}

/**
 * @param {Float32Array} values
 * @param {number} columns
 * @param {(row: number, column: number) => Area} seen
 * @returns {{ area: Area, value: number }[]} those of the largest absolute values, hardly overlapping
 */
function best(values, columns, seen) {
  const order = Uint32Array.from(values.keys()).sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]));
  /** @type {{ area: Area, value: number }[]} */
  const found = [];
  for (const place of order) {
    if (found.length === MOST) break;
    const area = seen(Math.floor(place / columns), place % columns);
    if (found.every((other) => overlap(other.area, area) < APART)) found.push({ area, value: values[place] });
  }
  return found;
}

customElements.define("scs-favourites", Favourites);
