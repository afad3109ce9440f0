// @ts-check
/** `<scs-chooser>`: pictures dropped, pasted, chosen, drawn, taken by a camera, or of those that come with the page. */

import { make } from "./dom.js";
import { SAMPLES, readSample } from "./picture.js";
import { session } from "./session.js";

class Chooser extends HTMLElement {
  connectedCallback() {
    const input = make("input", { type: "file", accept: "image/*", class: "file", id: "file" });
    input.addEventListener("change", () => {
      this.take(input.files?.[0]);
      input.value = ""; // the same file may be chosen again, once it has changed
    });
    const samples = SAMPLES.map(([name, text]) =>
      make("button", { type: "button", text, onclick: () => session.open(() => readSample(name)) }),
    );
    this.append(
      make("label", { class: "button", for: "file", text: "Choose a picture" }),
      input,
      make("button", { type: "button", text: "Draw", onclick: () => open("scs-drawing") }),
      make("button", {
        type: "button",
        text: "Camera",
        onclick: () => open("scs-camera"),
        hidden: !navigator.mediaDevices,
      }),
      make("span", { class: "quiet", text: "or a sample:" }),
      ...samples,
    );
    document.addEventListener("paste", (event) => this.take(fileOf(event.clipboardData)));
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      this.take(fileOf(event.dataTransfer));
    });
  }

  /** @param {File | null | undefined} file */
  take(file) {
    if (file) session.openFile(file, file.name || "pasted");
  }
}

/**
 * @param {DataTransfer | null} data
 * @returns {File | null}
 */
function fileOf(data) {
  return [...(data?.files ?? [])].find((file) => file.type.startsWith("image/")) ?? data?.files[0] ?? null;
}

/** @param {string} name of an element that opens as a dialog */
function open(name) {
  /** @type {(HTMLElement & { open(): void }) | null} */ (document.querySelector(name))?.open();
}

customElements.define("scs-chooser", Chooser);
