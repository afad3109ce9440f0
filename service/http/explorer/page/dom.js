// @ts-check
/** Making elements without markup in strings, which Trusted Types would refuse, and drawing them once a frame. */

/**
 * Make an element.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, unknown>} [properties] attributes; `on…` are listeners, `class` and `text` as they say
 * @param {(Node | string | null)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name === "text") element.textContent = String(value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * Make an element of a drawing (SVG).
 *
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {Node[]} children
 * @returns {SVGElement}
 */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * Make a control with its label.
 *
 * @param {string} text
 * @param {HTMLElement} control
 * @param {string} [hint] what its values mean
 * @returns {HTMLLabelElement}
 */
export function labelled(text, control, hint) {
  return make("label", { class: "labelled", title: hint }, make("span", { text }), control);
}

/**
 * Make a choice of values.
 *
 * @param {[string, string][]} options value and text
 * @param {string} chosen
 * @param {(value: string) => void} choose
 * @returns {HTMLSelectElement}
 */
export function select(options, chosen, choose) {
  const made = make("select", { onchange: () => choose(made.value) });
  made.append(...options.map(([value, text]) => make("option", { value, text, selected: value === chosen })));
  return made;
}

/**
 * Write a number with three digits that count.
 *
 * @param {number} value
 * @returns {string}
 */
export function short(value) {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 100000)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/**
 * Put work off to the next frame, where it is done once, however often it was asked for.
 *
 * @param {() => void} work
 * @returns {() => void} asks for it
 */
export function onceAFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}
