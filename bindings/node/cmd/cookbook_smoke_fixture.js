#!/usr/bin/env node
"use strict";

// The first steps with a pool, checked.
//
// usage: cookbook_smoke_fixture.js [directory]
//
// The directory is removed and made anew; without one the default directory is used, and the pool
// is called cookbook-home.

const assert = require("node:assert");
const fs = require("node:fs");

const { Client, ErrorKind, PlasmiteNativeError } = require("../index.js");

function main(directory) {
  if (directory !== undefined) {
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { recursive: true });
  }
  const client = new Client(directory);
  const pool = client.pool(directory === undefined ? "cookbook-home" : "cookbook-smoke");
  const { seq, tags, data } = pool.append({ task: "resize", id: 1 }, ["cookbook"]);
  assert.ok(seq >= 1n);
  assert.deepStrictEqual([...tags], ["cookbook"]);
  assert.deepStrictEqual(data, { task: "resize", id: 1 });
  assert.throws(
    () => client.openPool("missing-cookbook-smoke-pool"),
    (error) => error instanceof PlasmiteNativeError && error.kind === ErrorKind.NotFound,
  );
  pool.close();
  client.close();
  process.stdout.write(`${JSON.stringify({ seq: Number(seq), tags, data })}\n`);
}

main(process.argv[2]);
