"use strict";

// Finding the addon, and its errors.

const fs = require("node:fs");
const path = require("node:path");

const { ErrorKind, errorKindOf } = require("./mappings.js");

const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "win32-x64"];
const PREFIX = "plasmite error:";

const platform = `${process.platform}-${process.arch}`;

/** Where the addon may be, in this order. */
function addonPaths() {
  const named = process.env.PLASMITE_LIB_DIR;
  return [
    ...(named ? [path.join(named, "index.node")] : []),
    path.join(__dirname, "native", platform, "index.node"),
    path.join(__dirname, "..", "..", "build", "index.node"), // a tree of the sources
  ];
}

/** The addon, or null and why not. */
function loadAddon() {
  if (!PLATFORMS.includes(platform)) {
    return { addon: null, problem: new Error(`unsupported platform: ${platform}`) };
  }
  let cause = new Error(`no index.node for ${platform} was found`);
  for (const candidate of addonPaths()) {
    if (!fs.existsSync(candidate)) continue;
    try {
      return { addon: require(candidate), problem: null };
    } catch (error) {
      cause = error;
    }
  }
  const problem = new Error(`plasmite native addon is unavailable: ${cause.message}`, { cause });
  return { addon: null, problem };
}

const { addon, problem } = loadAddon();

/** An error of the library, with what is known about it. */
class PlasmiteNativeError extends Error {
  constructor(message, details = {}, cause = undefined) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "PlasmiteNativeError";
    this.kind = details.kind ?? ErrorKind.Io;
    this.path = details.path;
    this.seq = details.seq;
    this.offset = details.offset;
    this.hint = details.hint;
    this.detail = details.detail;
  }
}

function optionalNumber(text) {
  return text === undefined || text === "" ? undefined : Number(text);
}

/** The facts that are in the text of an error. */
function parseText(message) {
  const facts = {};
  for (const part of message.slice(PREFIX.length).split(";")) {
    const at = part.indexOf("=");
    if (at > 0) facts[part.slice(0, at).trim()] = part.slice(at + 1).trim();
  }
  return {
    kind: errorKindOf(facts.kind),
    path: facts.path,
    seq: optionalNumber(facts.seq),
    offset: optionalNumber(facts.offset),
    detail: facts.message,
  };
}

/** The same from an error's properties, where our addon has put them. */
function readProperties(error) {
  return {
    kind: error.kind,
    path: error.path,
    seq: error.seq === undefined ? undefined : Number(error.seq),
    offset: error.offset === undefined ? undefined : Number(error.offset),
    hint: error.hint,
    detail: error.detail,
  };
}

/** An error of the addon as a PlasmiteNativeError; any other one unchanged. */
function wrapError(error) {
  if (!(error instanceof Error) || error instanceof PlasmiteNativeError) return error;
  if (!error.message.startsWith(PREFIX)) return error;
  const details =
    typeof error.kind === "number" ? readProperties(error) : parseText(error.message);
  return new PlasmiteNativeError(error.message, details, error);
}

/** Calls into the addon; its errors become ours. */
function native(call) {
  try {
    return call();
  } catch (error) {
    throw wrapError(error);
  }
}

/** An error that the library would have made, had it been asked. */
function usageError(text) {
  return wrapError(new Error(`${PREFIX} kind=Usage; message=${text}`));
}

/** Sees to it that an object of the addon has a method which only newer libraries have. */
function need(object, method, what) {
  if (typeof object?.[method] !== "function") throw usageError(`${what} needs a newer libplasmite`);
}

module.exports = { PlasmiteNativeError, addon, native, need, platform, problem, wrapError };
