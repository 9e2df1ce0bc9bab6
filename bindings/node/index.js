"use strict";

const os = require("node:os");
const path = require("node:path");

const follows = require("./follow.js");
const { Durability, ErrorKind, isNothing } = require("./mappings.js");
const { Message, lineMessage, parseMessage, receiptMessage, withTime } = require("./message.js");
const { PlasmiteNativeError, addon, native, need, problem, wrapError } = require("./native.js");
const { RemoteClient, RemoteError, RemotePool } = require("./remote.js");

const DEFAULT_POOL_DIR = path.join(os.homedir(), ".plasmite", "pools");
const DEFAULT_POOL_SIZE_BYTES = 1024 * 1024;
const DEFAULT_POOL_SIZE = DEFAULT_POOL_SIZE_BYTES;

// How openWith() of the addon treats a pool that is missing.
const OPEN_OR_CREATE = 1;

function jsonText(value) {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError("the payload cannot be written as JSON");
  return text;
}

/** One message of a batch: its JSON on one line. */
function jsonLine(value) {
  if (!(value instanceof Uint8Array)) return jsonText(value);
  // line feeds may stand between the parts of JSON, never inside them
  return Buffer.from(value).toString("utf8").replaceAll("\n", " ");
}

/** Anything that lists strings, as an array for the addon; a getter or an iterator runs here. */
function tagsArgument(tags) {
  if (isNothing(tags) || Array.isArray(tags)) return tags;
  if (typeof tags === "string" || typeof tags[Symbol.iterator] !== "function") {
    throw new TypeError("tags must be an array of strings");
  }
  return [...tags];
}

function addDispose(Class) {
  if (Symbol.dispose === undefined) return;
  Class.prototype[Symbol.dispose] = function dispose() {
    this.close();
  };
}

/** Where pools are found by their names. */
class Client {
  #inner;

  constructor(poolDir = DEFAULT_POOL_DIR) {
    if (addon === null) throw problem;
    this.#inner = native(() => new addon.Client(poolDir));
  }

  createPool(poolRef, sizeBytes = DEFAULT_POOL_SIZE_BYTES) {
    return new Pool(native(() => this.#inner.createPool(poolRef, sizeBytes)));
  }

  openPool(poolRef) {
    return new Pool(native(() => this.#inner.openPool(poolRef)));
  }

  /** Opens a pool, and creates it if it is missing. */
  pool(poolRef, sizeBytes = DEFAULT_POOL_SIZE_BYTES) {
    const inner = this.#inner;
    if (typeof inner.openWith === "function") {
      return new Pool(native(() => inner.openWith(poolRef, OPEN_OR_CREATE, sizeBytes)));
    }
    for (;;) {
      try {
        return this.openPool(poolRef);
      } catch (error) {
        if (error.kind !== ErrorKind.NotFound) throw error;
      }
      try {
        return this.createPool(poolRef, sizeBytes);
      } catch (error) {
        if (error.kind !== ErrorKind.AlreadyExists) throw error; // else another was quicker
      }
    }
  }

  /** The names of the pools in the client's directory, sorted. */
  listPools() {
    need(this.#inner, "listPools", "listPools()");
    return native(() => this.#inner.listPools());
  }

  deletePool(poolRef) {
    need(this.#inner, "deletePool", "deletePool()");
    native(() => this.#inner.deletePool(poolRef));
  }

  close() {
    this.#inner.close();
  }
}

/** A pool: messages in their order, in a file. */
class Pool {
  #inner;
  #receipts; // the addon gives seq and time of an append without the message

  constructor(inner) {
    this.#inner = inner;
    this.#receipts = typeof inner?.appendReceipt === "function";
  }

  /** Appends JSON bytes (a Buffer), or any value as JSON; gives the message's bytes. */
  appendJson(payload, tags = undefined, durability = Durability.Fast) {
    const bytes = payload instanceof Uint8Array ? payload : Buffer.from(jsonText(payload));
    const list = tagsArgument(tags);
    return native(() => this.#inner.appendJson(bytes, list, durability));
  }

  append(payload, tags = undefined, durability = Durability.Fast) {
    if (!this.#receipts || payload instanceof Uint8Array) {
      return lineMessage(this.appendJson(payload, tags, durability));
    }
    const text = jsonText(payload);
    const list = isNothing(tags) ? undefined : [...tagsArgument(tags)];
    try {
      this.#inner.appendReceipt(text, list, durability);
    } catch (error) {
      throw wrapError(error);
    }
    return receiptMessage(addon.receipt[0], addon.receipt[1], list, text);
  }

  /** Appends all of the values at once, or none; gives the seq of the first. */
  appendMany(values, tags = undefined, durability = Durability.Fast) {
    need(this.#inner, "appendLines", "appendMany()");
    const lines = Array.from(values, jsonLine).join("\n");
    const list = tagsArgument(tags);
    return native(() => this.#inner.appendLines(lines === "" ? "" : `${lines}\n`, list, durability));
  }

  appendLite3(payload, durability = Durability.Fast) {
    need(this.#inner, "appendLite3", "appendLite3()");
    return native(() => this.#inner.appendLite3(payload, durability));
  }

  getJson(seq) {
    return native(() => this.#inner.getJson(seq));
  }

  get(seq) {
    return lineMessage(this.getJson(seq));
  }

  getLite3(seq) {
    need(this.#inner, "getLite3", "getLite3()");
    return withTime(native(() => this.#inner.getLite3(seq)));
  }

  openStream(sinceSeq, maxMessages, timeoutMs, errorOnGap = false) {
    return new Stream(
      native(() => this.#inner.openStream(sinceSeq, maxMessages, timeoutMs, errorOnGap)),
    );
  }

  openLite3Stream(sinceSeq, maxMessages, timeoutMs, errorOnGap = false) {
    need(this.#inner, "openLite3Stream", "openLite3Stream()");
    return new Lite3Stream(
      native(() => this.#inner.openLite3Stream(sinceSeq, maxMessages, timeoutMs, errorOnGap)),
    );
  }

  /** Messages from sinceSeq (or the oldest one) on, as they come. */
  tail(options) {
    return follows.tail(this.#inner, options);
  }

  /** What one window brings, with the pauses in which it came, divided by speed. */
  replay(options) {
    return follows.replay(this.#inner, options);
  }

  /** What comes after this call, or from a given start; filters work in the library. */
  follow(options) {
    return follows.follow(this.#inner, options);
  }

  /** tail() in the binary form, without tags. */
  tailLite3(options) {
    return follows.tailLite3(this.#inner, options);
  }

  /** follow() in the binary form. */
  followLite3(options) {
    return follows.followLite3(this.#inner, options);
  }

  /** Returns when all that was appended, by whomever, survives a power loss. */
  flush() {
    need(this.#inner, "flush", "flush()");
    native(() => this.#inner.flush());
  }

  info() {
    need(this.#inner, "info", "info()");
    return poolInfo(native(() => this.#inner.path()), native(() => this.#inner.info()));
  }

  /** Checks the whole file, and changes nothing. */
  verify() {
    need(this.#inner, "verify", "verify()");
    return JSON.parse(native(() => this.#inner.verify()).toString("utf8"));
  }

  close() {
    this.#inner.close();
  }
}

/** Messages one after the other; waiting for one blocks the thread. */
class Stream {
  #inner;

  constructor(inner) {
    this.#inner = inner;
  }

  nextJson() {
    return native(() => this.#inner.nextJson());
  }

  *[Symbol.iterator]() {
    for (let bytes = this.nextJson(); bytes !== null; bytes = this.nextJson()) yield bytes;
  }

  close() {
    this.#inner.close();
  }
}

class Lite3Stream {
  #inner;

  constructor(inner) {
    this.#inner = inner;
  }

  next() {
    const frame = native(() => this.#inner.next());
    return frame === null ? null : withTime(frame);
  }

  *[Symbol.iterator]() {
    for (let frame = this.next(); frame !== null; frame = this.next()) yield frame;
  }

  close() {
    this.#inner.close();
  }
}

for (const Class of [Client, Pool, Stream, Lite3Stream]) addDispose(Class);

function timeOf(ns) {
  return ns === 0n ? null : new Date(Number(ns / 1000000n));
}

/** What info() gives: sizes as numbers, seqs as bigints, null where there is no message. */
function poolInfo(file, facts) {
  const empty = facts.messages === 0n;
  return {
    path: file,
    fileSize: Number(facts.fileSize),
    ringOffset: Number(facts.ringOffset),
    ringSize: Number(facts.ringSize),
    indexCapacity: Number(facts.indexCapacity),
    usedBytes: Number(facts.usedBytes),
    messages: Number(facts.messages),
    oldestSeq: empty ? null : facts.oldestSeq,
    newestSeq: empty ? null : facts.newestSeq,
    nextSeq: facts.nextSeq,
    oldestTime: empty ? null : timeOf(facts.oldestTimeNs),
    newestTime: empty ? null : timeOf(facts.newestTimeNs),
    created: timeOf(facts.createdNs),
  };
}

/** pool.replay(options). */
function replay(pool, options) {
  return pool.replay(options);
}

/** Lets the process survive pool files that somebody cuts off while they are open. */
function installGuard() {
  if (addon === null) throw problem;
  if (addon.installGuard === undefined) throw new TypeError("the addon has no installGuard()");
  native(() => addon.installGuard());
}

module.exports = {
  Client,
  Pool,
  Stream,
  Lite3Stream,
  Message,
  DEFAULT_POOL_DIR,
  DEFAULT_POOL_SIZE,
  DEFAULT_POOL_SIZE_BYTES,
  Durability,
  ErrorKind,
  PlasmiteNativeError,
  RemoteClient,
  RemoteError,
  RemotePool,
  installGuard,
  parseMessage,
  replay,
};
