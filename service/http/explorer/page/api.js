// @ts-check
/** Requests to the service that this page came from. */

const TRIES = 4;
const KEY = "scs-key";

/** A failure, in the API's own words. */
export class Problem extends Error {
  /**
   * @param {string} detail
   * @param {number} status 0 where nothing answered
   */
  constructor(detail, status) {
    super(detail);
    this.status = status;
  }
}

/** @returns {string} the API key that was entered, for as long as the tab is open */
export function key() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** @param {string} text */
export function enterKey(text) {
  sessionStorage.setItem(KEY, text);
}

/**
 * Return the address of a route, also where a proxy shows the service below a prefix.
 *
 * @param {string} route
 * @param {Record<string, string | number>} [options] those that are empty are left out
 * @returns {URL}
 */
export function addressOf(route, options = {}) {
  const address = new URL(route, document.baseURI);
  for (const [name, value] of Object.entries(options)) {
    if (value !== "") address.searchParams.set(name, String(value));
  }
  return address;
}

/**
 * Ask the service; ask again, when it says, while it is busy.
 *
 * @param {string} route
 * @param {object} [request]
 * @param {Record<string, string | number>} [request.options]
 * @param {Blob | FormData} [request.body]
 * @param {string} [request.accept]
 * @param {"GET" | "POST"} [request.method] as there is a body, unless given
 * @param {AbortSignal} [request.signal]
 * @returns {Promise<Response>}
 */
export async function ask(route, request = {}) {
  const { options, body, accept = "application/json", method = body ? "POST" : "GET", signal } = request;
  /** @type {Record<string, string>} */
  const headers = { Accept: accept };
  if (key()) headers["X-API-Key"] = key();
  if (body instanceof Blob) headers["Content-Type"] = body.type || "application/octet-stream";
  for (let left = TRIES - 1; ; left -= 1) {
    const answer = await send(addressOf(route, options), { method, headers, body, signal });
    if (answer.ok) return answer;
    const wait = Number(answer.headers.get("Retry-After"));
    if (answer.status !== 503 || !wait || left === 0) throw await problemOf(answer);
    await new Promise((resolve) => setTimeout(resolve, wait * 1000));
  }
}

/** Digests of pictures that the service has. @type {Set<string>} */
const sent = new Set();

/**
 * Ask about a picture: by its digest where the service has it, and with its bytes where it has them not, or not any more.
 *
 * @param {string} route
 * @param {import("./types").Picture} picture
 * @param {object} request
 * @param {Record<string, string | number>} request.options
 * @param {() => Blob | FormData} [request.whole] the body with the picture; its file unless given
 * @param {string} [request.accept]
 * @param {AbortSignal} [request.signal]
 * @returns {Promise<Response>}
 */
export async function askAbout(route, picture, { options, whole = () => picture.file, accept, signal }) {
  const { sha256 } = picture;
  if (sha256 && sent.has(sha256)) {
    try {
      const known = { ...options, picture: `sha256:${sha256}` };
      return await ask(route, { options: known, accept, method: "POST", signal });
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
      sent.delete(sha256);
    }
  }
  const answer = await ask(route, { options, body: whole(), accept, signal });
  if (sha256) sent.add(sha256);
  return answer;
}

/**
 * @param {URL} address
 * @param {RequestInit} request
 * @returns {Promise<Response>}
 */
async function send(address, request) {
  try {
    // Without credentials a browser does not ask for a password of its own; the key is entered on the page.
    return await fetch(address, { ...request, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem("the service does not answer", 0);
  }
}

/**
 * @param {Response} answer
 * @returns {Promise<Problem>}
 */
async function problemOf(answer) {
  const text = await answer.text();
  try {
    const content = JSON.parse(text);
    return new Problem(content.detail ?? content.error ?? text, answer.status);
  } catch {
    return new Problem(text.slice(0, 200) || answer.statusText, answer.status);
  }
}
