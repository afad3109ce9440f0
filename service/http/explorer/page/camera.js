// @ts-check
/** `<scs-camera>`: a dialog that takes a picture by the camera; browsers allow it on https and on this machine alone. */

import { make } from "./dom.js";
import { session } from "./session.js";

class Camera extends HTMLElement {
  connectedCallback() {
    this.video = make("video", { autoplay: true, playsinline: true, class: "paper" });
    this.video.muted = true;
    this.said = make("p", { class: "failure", role: "status" });
    this.dialog = make(
      "dialog",
      { "aria-label": "Take a picture", onclose: () => this.stop() },
      make("h2", { text: "Take a picture" }),
      this.video,
      this.said,
      make(
        "div",
        { class: "row" },
        make("button", { type: "button", text: "Take it", class: "first", onclick: () => this.take() }),
        make("button", { type: "button", text: "Close", onclick: () => this.dialog?.close() }),
      ),
    );
    this.append(this.dialog);
  }

  async open() {
    const { dialog, video, said } = this;
    if (!dialog || !video || !said) return;
    said.textContent = "";
    dialog.showModal();
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 1024 } });
      if (!dialog.open) this.stop();
    } catch (error) {
      said.textContent = `The camera cannot be used: ${error instanceof Error ? error.message : error}`;
    }
  }

  take() {
    const { video } = this;
    if (!video?.videoWidth) return;
    const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    canvas.toBlob((file) => file && session.openFile(file, "camera.jpg"), "image/jpeg", 0.9);
    this.dialog?.close();
  }

  stop() {
    const stream = this.video?.srcObject;
    if (stream instanceof MediaStream) stream.getTracks().forEach((track) => track.stop());
    if (this.video) this.video.srcObject = null;
  }
}

customElements.define("scs-camera", Camera);
