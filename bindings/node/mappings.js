"use strict";

// Names and numbers that everything here shares, and the reading of options.

const Durability = Object.freeze({ Fast: 0, Flush: 1 });

const ErrorKind = Object.freeze({
  Internal: 1,
  Usage: 2,
  NotFound: 3,
  AlreadyExists: 4,
  Busy: 5,
  Permission: 6,
  Corrupt: 7,
  Io: 8,
  RetentionGap: 9,
});

const DEFAULT_WINDOW_MS = 1000;

/** The number of a kind of error by its name; a name that nobody knows is Io. */
function errorKindOf(name) {
  return Object.hasOwn(ErrorKind, name ?? "") ? ErrorKind[name] : ErrorKind.Io;
}

/** "fast" or "flush", from what callers write; nothing is fast. */
function durabilityName(durability) {
  if (durability === undefined || durability === null) return "fast";
  const name = typeof durability === "string" ? durability.toLowerCase() : durability;
  if (name === Durability.Fast || name === "fast") return "fast";
  if (name === Durability.Flush || name === "flush") return "flush";
  throw new TypeError("durability must be Durability.Fast or Durability.Flush");
}

/** A list of tags from one tag, a list, or nothing. */
function tagList(tags) {
  if (tags === undefined || tags === null) return [];
  const list = typeof tags === "string" ? [tags] : Array.from(tags);
  if (!list.every((tag) => typeof tag === "string")) {
    throw new TypeError("tags must be strings");
  }
  return list;
}

function isNothing(value) {
  return value === undefined || value === null;
}

/** How many messages are wanted: a number without its fraction; Infinity for no limit. */
function maxMessagesOf(value) {
  if (isNothing(value)) return Infinity;
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number !== "number" || !(number >= 0)) {
    throw new TypeError("maxMessages must be non-negative");
  }
  return Math.floor(number);
}

/** The length of a polling window in milliseconds. */
function windowOf(value) {
  if (isNothing(value)) return DEFAULT_WINDOW_MS;
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number !== "number" || Number.isNaN(number)) {
    throw new TypeError("timeoutMs must be numeric");
  }
  return number > 0 ? number : DEFAULT_WINDOW_MS;
}

/** A number of 64 bits as a bigint, undefined where there is none. */
function optionalU64(value, name) {
  if (isNothing(value)) return undefined;
  if (typeof value === "number") {
    if (value < 0) throw new TypeError(`${name} must be non-negative`);
    if (!Number.isSafeInteger(value)) throw new TypeError(`${name} must be a safe integer`);
    return BigInt(value);
  }
  if (typeof value !== "bigint") throw new TypeError(`${name} must be a number or bigint`);
  if (value < 0n) throw new TypeError(`${name} must be non-negative`);
  if (value >> 64n) throw new TypeError(`${name} must be a bigint of 64 bits`);
  return value;
}

module.exports = {
  DEFAULT_WINDOW_MS,
  Durability,
  ErrorKind,
  durabilityName,
  errorKindOf,
  isNothing,
  maxMessagesOf,
  optionalU64,
  tagList,
  windowOf,
};
