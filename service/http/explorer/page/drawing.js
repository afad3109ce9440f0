// @ts-check
/** `<scs-drawing>`: a dialog in which a digit is drawn by hand, white on black as those that networks are trained on. */

import { make } from "./dom.js";
import { session } from "./session.js";

const SIDE = 280;
const SENT = 28;

class Drawing extends HTMLElement {
  connectedCallback() {
    this.canvas = make("canvas", {
      width: SIDE,
      height: SIDE,
      class: "paper",
      "aria-label": "Draw here with the pointer",
      role: "img",
    });
    this.dialog = make(
      "dialog",
      { "aria-label": "Draw a digit" },
      make("h2", { text: "Draw a digit" }),
      this.canvas,
      make(
        "div",
        { class: "row" },
        make("button", { type: "button", text: "Use it", class: "first", onclick: () => this.use() }),
        make("button", { type: "button", text: "Wipe", onclick: () => this.wipe() }),
        make("button", { type: "button", text: "Close", onclick: () => this.dialog?.close() }),
      ),
    );
    this.append(this.dialog);
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas?.setPointerCapture(event.pointerId);
      this.last = [event.offsetX, event.offsetY];
      this.line(event);
    });
    this.canvas.addEventListener("pointermove", (event) => event.buttons && this.line(event));
  }

  /** @type {[number, number]} */ last = [0, 0];

  open() {
    this.wipe();
    this.dialog?.showModal();
  }

  get context() {
    return /** @type {CanvasRenderingContext2D} */ (this.canvas?.getContext("2d"));
  }

  wipe() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, SIDE, SIDE);
  }

  /** @param {PointerEvent} event */
  line(event) {
    const { context } = this;
    context.lineWidth = 22;
    context.lineCap = "round";
    context.strokeStyle = "#fff";
    context.beginPath();
    context.moveTo(...this.last);
    this.last = [event.offsetX, event.offsetY];
    context.lineTo(...this.last);
    context.stroke();
  }

  use() {
    const small = make("canvas", { width: SENT, height: SENT });
    const context = /** @type {CanvasRenderingContext2D} */ (small.getContext("2d"));
    context.imageSmoothingQuality = "high";
    context.drawImage(/** @type {HTMLCanvasElement} */ (this.canvas), 0, 0, SENT, SENT);
    small.toBlob((file) => file && session.openFile(file, "drawn.png"), "image/png");
    const digits = session.models.find((model) => model.name.startsWith("mnist") && model.available);
    const grey = session.card?.input.channels === 1;
    if (digits && !grey)
      session.show({ model: digits.name, version: "", layer: "", channel: -1, label: "", where: "pixels" });
    this.dialog?.close();
  }
}

customElements.define("scs-drawing", Drawing);
