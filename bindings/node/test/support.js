"use strict";

// What the tests share: folders that vanish, a client in one, waiting for facts.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const plasmite = require("../index.js");

const root = path.join(__dirname, "..", "..", "..");

const GONE_PAST = "x".repeat(4096);

function temporaryFolder(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "plasmite-node-"));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A client in a folder of its own, closed with the test. */
function newClient(t) {
  const folder = temporaryFolder(t);
  const client = new plasmite.Client(folder);
  t.after(() => client.close());
  return { client, folder };
}

function newPool(t, sizeBytes) {
  const { client, folder } = newClient(t);
  const pool = client.pool("work", sizeBytes);
  t.after(() => pool.close());
  return { client, folder, pool };
}

/** Appends until a message is no longer retained. */
function fillPast(pool, seq) {
  for (let i = 0; i < 10000; i++) {
    pool.append({ i, padding: GONE_PAST });
    try {
      pool.getJson(seq);
    } catch (error) {
      if (error.kind === plasmite.ErrorKind.NotFound) return;
      throw error;
    }
  }
  throw new Error(`message ${seq} is still there`);
}

async function collect(messages, n = Infinity) {
  const all = [];
  if (n === 0) return all;
  for await (const message of messages) {
    all.push(message);
    if (all.length === n) break;
  }
  return all;
}

function numbers(messages) {
  return messages.map((message) => message.data.n);
}

/** The built library and command line: where the tests are told, or in the tree. */
function built(name) {
  if (name === "plasmite" && process.env.PLASMITE_BIN) return process.env.PLASMITE_BIN;
  const folders = [process.env.PLASMITE_LIB_DIR, path.join(root, "build")];
  return folders
    .filter((folder) => folder)
    .map((folder) => path.join(folder, name))
    .find((file) => fs.existsSync(file));
}

module.exports = { built, collect, fillPast, newClient, newPool, numbers, root, temporaryFolder };
