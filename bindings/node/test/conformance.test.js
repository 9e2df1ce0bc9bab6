"use strict";

const assert = require("node:assert");
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");

const { built, root, temporaryFolder } = require("./support.js");

const runner = path.join(__dirname, "..", "cmd", "plasmite-conformance.js");
const manifests = path.join(root, "conformance");

function run(...args) {
  const env = { ...process.env, PLASMITE_BIN: built("plasmite") };
  return spawnSync(process.execPath, [runner, ...args], { encoding: "utf8", env });
}

/** Runs steps of a test's own. */
function runSteps(t, steps, rest = {}, folder = temporaryFolder(t)) {
  const file = path.join(folder, "manifest.json");
  fs.writeFileSync(file, JSON.stringify({ conformance_version: 0, name: "test", steps, ...rest }));
  return run(file);
}

const names = fs.existsSync(manifests)
  ? fs.readdirSync(manifests).filter((name) => name.endsWith(".json"))
  : [];

for (const name of names) {
  test(`the manifest ${name} holds`, (t) => {
    const folder = temporaryFolder(t);
    fs.copyFileSync(path.join(manifests, name), path.join(folder, name));
    const done = run(path.join(folder, name));
    assert.strictEqual(done.stderr, "");
    assert.strictEqual(done.status, 0);
  });
}

test("the runner sees what is not as expected", (t) => {
  const create = { op: "create_pool", pool: "a" };
  const append = { op: "append", pool: "a", input: { data: { n: 1 }, tags: ["t"] } };
  const cases = [
    [[{ op: "dance", id: "x" }], /^step 0 \(x\): unknown op: dance\n$/],
    [[create, create], /^step 1: already exists|pool already exists/],
    [[create, { ...append, expect: { seq: 2 } }], /^step 1: seq is 1/],
    [[create, append, { op: "get", pool: "a", input: { seq: 1 }, expect: { data: { n: 2 } } }], /^step 2: /],
    [[create, append, { op: "get", pool: "a", input: { seq: 1 }, expect: { tags: [] } }], /^step 2: /],
    [[create, { ...append, expect: { error: { kind: "Usage" } } }], /expected Usage, but it succeeded/],
    [[{ ...append, expect: { error: { kind: "Usage" } } }], /expected Usage, got NotFound/],
    [[{ ...append, expect: { error: { kind: "NotFound", has_path: false } } }], /path should be absent/],
    [[create, { op: "tail", pool: "a", input: { max: 1 }, expect: {} }], /expect one of/],
    [[create, { op: "tail", pool: "a", input: { max: 1 }, expect: { messages: [{ data: {} }] } }], /expected 1 messages, got 0/],
    [[create, { op: "list_pools", expect: { names: ["b"] } }], /pools are a/],
    [[create, { op: "pool_info", pool: "a", expect: { file_size: 5 } }], /file_size is 1048576/],
    [[create, { op: "pool_info", pool: "a", expect: { bounds: { oldest: 1 } } }], /bounds.oldest is null/],
    [[{ op: "spawn_poke", pool: "a", input: { messages: [{ data: {} }] } }], /a writer ended with 3/],
  ];
  for (const [steps, expected] of cases) {
    const done = runSteps(t, steps);
    assert.strictEqual(done.status, 1, JSON.stringify(steps));
    assert.match(done.stderr, expected);
  }
});

test("the runner takes every operation", (t) => {
  const folder = temporaryFolder(t);
  const steps = [
    { op: "create_pool", pool: "a", input: { size_bytes: 65536 } },
    { op: "spawn_poke", pool: "a", input: { messages: [{ data: { n: 1 }, tags: ["x"] }] } },
    { op: "fetch", pool: "a", input: { seq: 1 }, expect: { data: { n: 1 }, tags: ["x"] } },
    { op: "append", pool: "a", input: { data: { b: 1, a: 2 } }, expect: { seq: 2 } },
    { op: "tail", pool: "a", input: { since_seq: 1 }, expect: { messages_unordered: [{ data: { a: 2, b: 1 } }, { data: { n: 1 } }] } },
    { op: "pool_info", pool: "a", expect: { file_size: 65536, bounds: { oldest: 1, newest: 2 } } },
    { op: "chmod_path", input: { path: folder, mode: "0750" } },
    { op: "delete_pool", pool: "a" },
    { op: "list_pools", expect: { names: [] } },
  ];
  const done = runSteps(t, steps, {}, folder);
  assert.strictEqual(done.stderr, "");
  assert.strictEqual(done.status, 0);
  assert.strictEqual(fs.statSync(folder).mode & 0o777, 0o750);
});

test("whatever a manifest names, what it did not make stays as it is", (t) => {
  const outside = fs.realpathSync(temporaryFolder(t));
  const precious = path.join(outside, "precious.plasmite");
  fs.writeFileSync(precious, "precious", { mode: 0o640 });
  const keep = () => {
    assert.strictEqual(fs.readFileSync(precious, "utf8"), "precious");
    assert.strictEqual(fs.statSync(precious).mode & 0o777, 0o640);
  };
  for (const workdir of ["", ".", "..", "a/../..", "a/./b", "./a", "a//b", "a/", outside, 7]) {
    const done = runSteps(t, [], { workdir });
    assert.strictEqual(done.status, 1);
    assert.strictEqual(done.stderr, `workdir has to lie below the manifest's folder: ${workdir}\n`);
    keep();
  }
  const link = path.join(temporaryFolder(t), "link");
  fs.symlinkSync(outside, link);
  const behind = `${link}/../${path.basename(outside)}/precious.plasmite`;
  const names = [precious, path.relative(process.cwd(), precious), `${link}/precious.plasmite`, behind];
  for (const name of names) {
    for (const step of [
      { op: "delete_pool", pool: name },
      { op: "corrupt_pool_header", pool: name },
      { op: "chmod_path", input: { path: name, mode: "777" } },
      { op: "delete_pool", pool: name, expect: { error: { kind: "NotFound" } } },
    ]) {
      const done = runSteps(t, [step]);
      assert.strictEqual(done.status, 1);
      assert.match(done.stderr, /^step 0: .* is not in /);
      keep();
    }
  }
  const fresh = path.join(outside, "fresh.plasmite");
  const refused = runSteps(t, [
    { op: "delete_pool", pool: fresh, expect: { error: { kind: "NotFound" } } },
    { op: "corrupt_pool_header", pool: fresh },
  ]);
  assert.match(refused.stderr, /^step 1: .* is not in /);
  assert.ok(!fs.existsSync(fresh));
  // a pool may be anywhere, and what a manifest made it may destroy
  const own = path.join(outside, "deep", "own.ring");
  const done = runSteps(t, [
    { op: "create_pool", pool: own },
    { op: "append", pool: own, input: { data: {} }, expect: { seq: 1 } },
    { op: "chmod_path", input: { path: own, mode: "600" } },
    { op: "corrupt_pool_header", pool: own },
    { op: "get", pool: own, input: { seq: 1 }, expect: { error: { kind: "Corrupt" } } },
    { op: "delete_pool", pool: own },
    { op: "delete_pool", pool: own, expect: { error: { kind: "NotFound", has_path: true } } },
  ]);
  assert.strictEqual(done.stderr, "");
  keep();
});

test("the runner needs one manifest of version 0", (t) => {
  assert.match(run().stderr, /^usage: plasmite-conformance <path/);
  assert.strictEqual(run("a", "b").status, 1);
  const done = runSteps(t, [], { conformance_version: 1 });
  assert.strictEqual(done.status, 1);
  assert.strictEqual(done.stderr, "unsupported conformance_version: 1\n");
});
