"use strict";

// Pools of a server, over HTTP. Plain JavaScript: it works where the addon does not.

const { durabilityName, errorKindOf } = require("./mappings.js");
const { isNothing, maxMessagesOf, optionalU64, tagList } = require("./mappings.js");
const { parseMessage } = require("./message.js");

const LINE_END = 0x0a;

class RemoteError extends Error {
  /** From {"error": {...}} or what is in it; whatever else the server sent says its status alone. */
  constructor(payload, status) {
    const body = isObject(payload) ? payload : {};
    const error = isObject(body.error) ? body.error : body;
    super(typeof error.message === "string" && error.message !== "" ? error.message : `Remote error ${status}`);
    this.name = "RemoteError";
    this.status = status;
    this.kind = errorKindOf(error.kind);
    this.hint = error.hint ?? undefined;
    this.path = error.path ?? undefined;
    this.seq = error.seq ?? undefined;
    this.offset = error.offset ?? undefined;
  }
}

function isObject(value) {
  return typeof value === "object" && value !== null;
}

/** A server's address: nothing but scheme, host and port. */
function readBaseUrl(baseUrl) {
  const url = new URL(baseUrl);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new Error("remote base URL must use http or https");
  }
  if ((url.pathname !== "/" && url.pathname !== "") || url.search !== "" || url.hash !== "") {
    throw new Error("remote base URL must not include a path");
  }
  return url;
}

function poolName(name) {
  if (typeof name !== "string" || name === "") throw new TypeError("pool name must be a string");
  // however they are written, URLs take these for steps between folders
  if (name === "." || name === "..") throw new TypeError(`pool name must not be ${name}`);
  return name;
}

/** A path of the server: its parts percent-encoded. */
function apiPath(...parts) {
  return `/v0/pools${parts.map((part) => `/${encodeURIComponent(part)}`).join("")}`;
}

async function readJson(response) {
  try {
    return await response.json();
  } catch {
    return undefined;
  }
}

class RemoteClient {
  constructor(baseUrl, options = {}) {
    this.baseUrl = readBaseUrl(baseUrl);
    this.token = options?.token ?? null;
  }

  withToken(token) {
    this.token = token;
    return this;
  }

  async createPool(name, sizeBytes) {
    const body = { pool: poolName(name) };
    const size = optionalU64(sizeBytes, "sizeBytes");
    if (size !== undefined) body.size_bytes = Number(size);
    return (await this._json("POST", apiPath(), body)).pool;
  }

  async openPool(name) {
    await this._json("POST", apiPath("open"), { pool: poolName(name) });
    return new RemotePool(this, name);
  }

  async poolInfo(name) {
    return (await this._json("GET", apiPath(poolName(name), "info"))).pool;
  }

  async listPools() {
    return (await this._json("GET", apiPath())).pools;
  }

  async deletePool(name) {
    await readJson(await this._request("DELETE", apiPath(poolName(name)))); // no answer is one, too
  }

  /** For this file alone: a request, and the response if it is a good one. */
  async _request(method, target, { body, query, signal } = {}) {
    const url = new URL(target, this.baseUrl);
    for (const [key, value] of query ?? []) url.searchParams.append(key, value);
    const headers = { Accept: "application/json" };
    if (!isNothing(this.token)) headers.Authorization = `Bearer ${this.token}`;
    const request = { method, headers };
    if (signal !== undefined) request.signal = signal;
    if (body !== undefined) {
      headers["Content-Type"] = "application/json";
      request.body = JSON.stringify(body);
    }
    const response = await globalThis.fetch(url, request);
    if (!response.ok) throw new RemoteError(await readJson(response), response.status);
    return response;
  }

  async _json(method, target, body) {
    const response = await this._request(method, target, { body });
    const value = await readJson(response);
    if (!isObject(value)) {
      const error = { kind: "Internal", message: "the server's answer is not JSON" };
      throw new RemoteError({ error }, response.status);
    }
    return value;
  }
}

class RemotePool {
  constructor(client, pool) {
    this.client = client;
    this.pool = pool;
  }

  poolRef() {
    return this.pool;
  }

  async append(data, tags = [], durability = "fast") {
    const body = { data, tags: tagList(tags), durability: durabilityName(durability) };
    const answer = await this.client._json("POST", apiPath(poolName(this.pool), "append"), body);
    return parseMessage(answer.message);
  }

  async get(seq) {
    const number = optionalU64(seq, "seq");
    if (number === undefined) throw new TypeError("seq must be a number or bigint");
    const target = apiPath(poolName(this.pool), "messages", number.toString());
    return parseMessage((await this.client._json("GET", target)).message);
  }

  /** Messages as they come, until the server ends the stream; leaving the loop ends the request. */
  async *tail(options = {}) {
    const query = tailQuery(options ?? {});
    const abort = new AbortController();
    const stop = () => abort.abort(options.signal.reason);
    if (options?.signal?.aborted) stop();
    options?.signal?.addEventListener("abort", stop, { once: true });
    try {
      const response = await this.client._request("GET", apiPath(poolName(this.pool), "tail"), {
        query,
        signal: abort.signal,
      });
      yield* messagesOf(response);
    } finally {
      options?.signal?.removeEventListener("abort", stop);
      abort.abort();
    }
  }
}

function tailQuery({ sinceSeq, maxMessages, timeoutMs, tags, errorOnGap }) {
  const query = [];
  const since = optionalU64(sinceSeq, "sinceSeq");
  const timeout = optionalU64(timeoutMs, "timeoutMs");
  if (since !== undefined) query.push(["since_seq", since]);
  if (!isNothing(maxMessages)) query.push(["max", maxMessagesOf(maxMessages)]);
  if (timeout !== undefined) query.push(["timeout_ms", timeout]);
  if (errorOnGap === true) query.push(["gap_policy", "error"]);
  for (const tag of tagList(tags)) query.push(["tag", tag]);
  return query.map(([key, value]) => [key, String(value)]);
}

function bytesOf(chunk) {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

/** The lines of a body as it arrives, each a Buffer. */
async function* linesOf(body) {
  let rest = Buffer.alloc(0);
  for await (const chunk of body ?? []) {
    let bytes = typeof chunk === "string" ? Buffer.from(chunk) : bytesOf(chunk);
    if (rest.length > 0) bytes = Buffer.concat([rest, bytes]);
    let start = 0;
    for (let end; (end = bytes.indexOf(LINE_END, start)) >= 0; start = end + 1) {
      yield bytes.subarray(start, end);
    }
    rest = bytes.subarray(start);
  }
  yield rest;
}

async function* messagesOf(response) {
  for await (const line of linesOf(response.body)) {
    const text = line.toString("utf8").trim();
    if (text === "") continue;
    const value = JSON.parse(text);
    if (isObject(value) && "error" in value) throw new RemoteError(value, response.status);
    yield parseMessage(line);
  }
}

module.exports = { RemoteClient, RemoteError, RemotePool };
