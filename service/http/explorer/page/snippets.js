// @ts-check
/** `<scs-snippets>`: what is shown, as commands of `curl` and as Python. */

import { addressOf, key } from "./api.js";
import { make } from "./dom.js";
import { copy } from "./downloads.js";
import { matchOptions, modelOptions } from "./questions.js";
import { session } from "./session.js";

class Snippets extends HTMLElement {
  connectedCallback() {
    this.shell = make("code");
    this.python = make("code");
    this.append(this.block("curl", this.shell), this.block("Python", this.python));
    session.on(["view", "picture", "overview", "second"], () => this.refresh());
  }

  /**
   * @param {string} title
   * @param {HTMLElement} code
   */
  block(title, code) {
    const button = make("button", { type: "button", text: `Copy ${title}` });
    button.addEventListener("click", async () => {
      button.textContent = (await copy(code.textContent ?? "")) ? "Copied" : "Select it and copy";
      setTimeout(() => (button.textContent = `Copy ${title}`), 2000);
    });
    return make(
      "div",
      { class: "snippet" },
      make("h3", { text: title }),
      button,
      make("pre", { tabindex: "0", "aria-label": `${title} for this view` }, code),
    );
  }

  refresh() {
    if (!this.shell || !this.python || !session.picture) return;
    const requests = requestsOf();
    this.shell.textContent = requests.map(asCurl).join("\n\n");
    this.python.textContent = asPython(requests);
  }
}

/** @typedef {{ route: string, options: Record<string, string | number>, files: [string, string][] }} Request */

/** @returns {Request[]} those that answer what is shown */
function requestsOf() {
  const { view, picture, second } = session;
  const name = picture?.name ?? "";
  const { model, version, resize } = modelOptions();
  /** @type {Request[]} */
  const requests = [{ route: "predict", options: { model, version, top_k: 5 }, files: [["file", name]] }];
  const layers = view.layer || "all";
  if (view.box)
    requests.push({
      route: "match",
      options: matchOptions(),
      files: [
        ["scene", second?.name ?? name],
        ["reference", name],
      ],
    });
  const asked = { class: view.label, box: second ? "" : view.box };
  requests.push({
    route: "activations",
    options: { model, version, resize, layers, channels: view.channel < 0 ? "top4" : view.channel, ...asked },
    files: [["file", name]],
  });
  return requests;
}

/** @param {Request} request */
function asCurl({ route, options, files }) {
  const address = addressOf(route, options).href.replaceAll("%2C", ",");
  const parts = files.map(([field, name]) => `-F ${quoted(`${field}=@${name}`)}`);
  const secret = key() ? [`-H "X-API-Key: $SCS_API_KEY"`] : [];
  return ["curl", ...parts, ...secret, quoted(address)].join(" ");
}

/** @param {Request[]} requests */
function asPython(requests) {
  const lines = ["import httpx2 as httpx", ""];
  const secret = key() ? ["import os", ""] : [];
  for (const { route, options, files } of requests) {
    const given = Object.entries(options).filter(([, value]) => value !== "");
    const params = given.map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`).join(", ");
    const sent = files
      .map(([field, name]) => `${JSON.stringify(field)}: open(${JSON.stringify(name)}, "rb")`)
      .join(", ");
    const headers = key() ? `, headers={"X-API-Key": os.environ["SCS_API_KEY"]}` : "";
    lines.push(
      `answer = httpx.post(${JSON.stringify(addressOf(route).href)}, params={${params}}, files={${sent}}${headers})`,
      "print(answer.raise_for_status().json())",
    );
  }
  return [...secret, ...lines].join("\n");
}

/**
 * Quote a word for the shell.
 *
 * @param {string} text
 */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

customElements.define("scs-snippets", Snippets);
