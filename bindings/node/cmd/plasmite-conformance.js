#!/usr/bin/env node
"use strict";

// Runs a conformance manifest through this binding.
//
// usage: plasmite-conformance.js <path/to/manifest.json>
//
// Silent and 0 when everything is as expected; else 1, and the step that was not on stderr.

const { spawn, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { isDeepStrictEqual } = require("node:util");

const { Client, ErrorKind } = require("../index.js");

const TAIL_LIMIT_MS = 500;
const FILL_MESSAGES_MAX = 10000;
const PADDING = "x".repeat(4096);

class Unmet extends Error {}

/** A failure of the operation itself, which a step may expect. */
class Failure extends Error {
  constructor({ kind, message, path: file, seq, offset }) {
    super(message);
    Object.assign(this, { kind, path: file, seq, offset });
  }
}

function need(condition, reason) {
  if (!condition) throw new Unmet(reason);
}

function kindName(number) {
  return Object.keys(ErrorKind).find((name) => ErrorKind[name] === number);
}

function failureOf(error) {
  if (error instanceof Failure || error instanceof Unmet) return error;
  if (error.name !== "PlasmiteNativeError") return error;
  const { kind, path: file, seq, offset, detail } = error;
  return new Failure({ kind: kindName(kind), message: detail, path: file, seq, offset });
}

function checkError(failure, expected) {
  const present = (value) => value !== undefined && value !== null;
  need(failure.kind === expected.kind, `expected ${expected.kind}, got ${failure.kind}: ${failure.message}`);
  const part = expected.message_contains;
  need(part === undefined || failure.message.includes(part), `"${failure.message}" lacks "${part}"`);
  for (const fact of ["path", "seq", "offset"]) {
    const wanted = expected[`has_${fact}`];
    if (wanted === undefined) continue;
    need(present(failure[fact]) === wanted, `${fact} should be ${wanted ? "there" : "absent"}`);
  }
}

/** An array of messages against a list of items with data and perhaps tags. */
function checkMessages(messages, { messages: ordered, messages_unordered: unordered }) {
  need((ordered === undefined) !== (unordered === undefined), "expect one of messages, messages_unordered");
  const wanted = [...(ordered ?? unordered)];
  need(messages.length === wanted.length, `expected ${wanted.length} messages, got ${messages.length}`);
  messages.forEach((message, i) => {
    need(i === 0 || message.seq > messages[i - 1].seq, "seqs do not rise");
    const at = ordered !== undefined ? 0 : wanted.findIndex((item) => matches(message, item));
    need(at >= 0 && matches(message, wanted[at]), `message ${message.seq} is not as expected`);
    wanted.splice(at, 1);
  });
}

function matches(message, item) {
  const tags = [...message.tags];
  return (
    isDeepStrictEqual(message.data, item.data) &&
    (item.tags === undefined || isDeepStrictEqual(tags, item.tags))
  );
}

/** Whether a name leads down from where it begins, and nowhere else. */
function isBelow(name) {
  return typeof name === "string" && !name.split("/").some((part) => ["", ".", ".."].includes(part));
}

function isThere(file) {
  return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

/**
 * A path without links. What does not exist yet has the name that it would get; undefined is for
 * what could not be made either.
 */
function real(file) {
  const cut = file.lastIndexOf("/");
  try {
    // native: `..` behind a link is somewhere else
    if (isThere(file)) return fs.realpathSync.native(file);
    const folder = cut < 0 ? "." : file.slice(0, cut + 1);
    return path.join(fs.realpathSync.native(folder), file.slice(cut + 1));
  } catch {
    return undefined;
  }
}

class Runner {
  constructor(manifestPath) {
    this.manifestPath = path.resolve(manifestPath);
    this.manifest = JSON.parse(fs.readFileSync(this.manifestPath, "utf8"));
    const version = this.manifest.conformance_version;
    need(version === 0, `unsupported conformance_version: ${version}`);
    this.folder = path.dirname(this.manifestPath);
    const { workdir = "work" } = this.manifest;
    need(isBelow(workdir), `workdir has to lie below the manifest's folder: ${workdir}`);
    this.workdir = path.join(this.folder, workdir);
    this.created = new Set(); // the files of the pools that its steps made
  }

  async run() {
    need(Array.isArray(this.manifest.steps), "steps must be an array");
    fs.rmSync(this.workdir, { recursive: true, force: true });
    fs.mkdirSync(this.workdir, { recursive: true });
    this.client = new Client(this.workdir);
    for (const [index, step] of this.manifest.steps.entries()) {
      try {
        await this.step(step);
      } catch (error) {
        const id = step.id === undefined ? "" : ` (${step.id})`;
        throw new Unmet(`step ${index}${id}: ${error.message}`);
      }
    }
    this.client.close();
  }

  async step(step) {
    need(Object.hasOwn(operations, step.op ?? ""), `unknown op: ${step.op}`);
    const expected = step.expect?.error;
    try {
      await operations[step.op].call(this, step, step.input ?? {}, step.expect ?? {});
    } catch (error) {
      const failure = failureOf(error);
      if (expected === undefined || !(failure instanceof Failure)) throw failure;
      checkError(failure, expected);
      return;
    }
    need(expected === undefined, `expected ${expected?.kind}, but it succeeded`);
  }

  withPool(name, use) {
    const pool = this.client.openPool(name);
    try {
      return use(pool);
    } finally {
      pool.close();
    }
  }

  get program() {
    if (process.env.PLASMITE_BIN) return process.env.PLASMITE_BIN;
    const root = path.dirname(path.dirname(this.manifestPath));
    const found = ["target/debug/plasmite", "build/plasmite"]
      .map((file) => path.join(root, file))
      .find((file) => fs.existsSync(file));
    need(found, "PLASMITE_BIN is not set, and no built plasmite was found");
    return found;
  }

  poolFile(name) {
    if (name.includes("/")) return name;
    return path.join(this.workdir, name.endsWith(".plasmite") ? name : `${name}.plasmite`);
  }

  /**
   * Refuses a path that is neither in that folder nor a pool that this manifest made: a manifest
   * may name any file as a pool, but is not to destroy what it found.
   */
  mayHarm(file, folder) {
    const to = real(file);
    const isOurs = this.created.has(to) || (to ?? "").startsWith(`${real(folder)}/`) || to === real(folder);
    need(to !== undefined && isOurs, `${file} is not in ${folder}`);
  }
}

const operations = {
  create_pool({ pool }, { size_bytes: size }) {
    this.client.createPool(pool, size ?? 1048576).close();
    this.created.add(real(this.poolFile(pool)));
  },

  append({ pool }, input, expect) {
    need("data" in input, "input.data is required");
    const message = this.withPool(pool, (it) => it.append(input.data, input.tags ?? []));
    need(expect.seq === undefined || message.seq === BigInt(expect.seq), `seq is ${message.seq}`);
  },

  get({ pool }, { seq }, expect) {
    need(seq !== undefined, "input.seq is required");
    const message = this.withPool(pool, (it) => it.get(seq));
    const { data = message.data, tags } = expect;
    need(matches(message, { data, tags }), `message ${seq} is not as expected`);
  },

  async tail({ pool }, { since_seq: sinceSeq, max: maxMessages }, expect) {
    const messages = [];
    const it = this.client.openPool(pool);
    const signal = AbortSignal.timeout(TAIL_LIMIT_MS);
    try {
      for await (const message of it.tail({ sinceSeq, maxMessages, timeoutMs: TAIL_LIMIT_MS, signal })) {
        messages.push(message);
      }
    } catch (error) {
      if (!signal.aborted) throw error; // the time is over: what came is what there is
    } finally {
      it.close();
    }
    if (expect.error === undefined) checkMessages(messages, expect);
  },

  list_pools(step, input, expect) {
    const suffix = ".plasmite";
    const names = fs.readdirSync(this.workdir).filter((name) => name.endsWith(suffix));
    const listed = names.map((name) => name.slice(0, -suffix.length)).sort();
    if (expect.names === undefined) return;
    need(isDeepStrictEqual(listed, [...expect.names].sort()), `pools are ${listed.join(", ")}`);
  },

  pool_info({ pool }, input, expect) {
    const done = spawnSync(this.program, ["--dir", this.workdir, "pool", "info", pool, "--json"], {
      encoding: "utf8",
    });
    if (done.error) throw done.error;
    if (done.status !== 0) {
      const { error } = JSON.parse(done.stderr);
      if (error.kind === "NotFound") error.path ??= this.poolFile(pool);
      throw new Failure(error);
    }
    const info = JSON.parse(done.stdout);
    for (const field of ["file_size", "ring_size"]) {
      need(typeof info[field] === "number", `${field} is not a number`);
      need(expect[field] === undefined || expect[field] === info[field], `${field} is ${info[field]}`);
    }
    for (const [end, wanted] of Object.entries(expect.bounds ?? {})) {
      const is = info.bounds?.[end] ?? null;
      need(is === wanted, `bounds.${end} is ${is}`);
    }
  },

  delete_pool({ pool }) {
    const file = this.poolFile(pool);
    if (isThere(file)) this.mayHarm(file, this.workdir);
    try {
      fs.unlinkSync(file);
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
      throw new Failure({ kind: "NotFound", message: "not found", path: file });
    }
  },

  async spawn_poke({ pool }, { messages }) {
    const exits = (messages ?? []).map(({ data, tags = [] }) => {
      const options = tags.flatMap((tag) => ["--tag", tag]);
      const argv = ["--dir", this.workdir, "feed", pool, JSON.stringify(data), ...options];
      const child = spawn(this.program, argv, { stdio: ["ignore", "inherit", "inherit"] });
      return new Promise((resolve, reject) => {
        child.on("error", reject);
        child.on("exit", (code, signal) => resolve(code ?? signal));
      });
    });
    for (const code of await Promise.all(exits)) need(code === 0, `a writer ended with ${code}`);
  },

  corrupt_pool_header({ pool }) {
    this.mayHarm(this.poolFile(pool), this.workdir);
    fs.writeFileSync(this.poolFile(pool), "NOPE");
  },

  chmod_path(step, input) {
    const { path: file, mode } = { ...step, ...input };
    if (isThere(file)) this.mayHarm(file, this.folder);
    fs.chmodSync(file, Number.parseInt(mode, 8));
  },

  async retention_gap({ pool }, { size_bytes: size = 65536 }) {
    await staleGap(this.client, `${pool}-stale`, size);
    await establishedGap(this.client, `${pool}-established`, size);
  },
};
operations.fetch = operations.get;

// Retention gaps ----------------------------------------------------------------------------------

/** Appends until a message is no longer retained. */
function fillPast(pool, seq) {
  for (let i = 0; i < FILL_MESSAGES_MAX; i++) {
    pool.append({ i, padding: PADDING });
    try {
      pool.getJson(seq);
    } catch (error) {
      if (error.kind === ErrorKind.NotFound) return;
      throw error;
    }
  }
  throw new Unmet(`message ${seq} is still retained`);
}

async function expectGap(reader, seq) {
  const failure = await reader.next().then(() => null, failureOf);
  need(failure?.kind === "RetentionGap", `expected RetentionGap, got ${failure?.message ?? "a message"}`);
  need(BigInt(failure.seq) === seq, `the gap begins at ${failure.seq}, not at ${seq}`);
  need((await reader.next()).done, "a tail goes on after a gap");
}

async function staleGap(client, name, size) {
  const pool = client.createPool(name, size);
  const first = pool.append({ kind: "first" }).seq;
  fillPast(pool, first);

  const going = await pool.tail({ sinceSeq: first, maxMessages: 1 }).next();
  need(!going.done && going.value.seq > first, "a tail does not go on after what is lost");
  const failing = pool.tail({
    sinceSeq: first,
    tags: ["never"],
    timeoutMs: TAIL_LIMIT_MS,
    errorOnGap: true,
  });
  await expectGap(failing, first);
  pool.close();
}

async function establishedGap(client, name, size) {
  const pool = client.createPool(name, size);
  const seqs = [pool.append({ kind: "seed" }).seq, pool.append({ kind: "second" }).seq];
  const reader = pool.tail({ sinceSeq: seqs[0], errorOnGap: true });
  for (const seq of seqs) {
    const { value } = await reader.next();
    need(value?.seq === seq, `expected message ${seq}`);
  }
  const missing = pool.append({ kind: "first-missing" }).seq;
  fillPast(pool, missing);
  await expectGap(reader, missing);
  pool.close();
}

async function main(args) {
  if (args.length !== 1) {
    process.stderr.write("usage: plasmite-conformance <path/to/manifest.json>\n");
    return 1;
  }
  try {
    await new Runner(args[0]).run();
    return 0;
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
