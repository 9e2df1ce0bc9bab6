"use strict";

// The package as it is published, installed without a network, and what documents promise of it.

const assert = require("node:assert");
const { spawn, spawnSync } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");

const { Client } = require("../index.js");
const { built, root, temporaryFolder } = require("./support.js");

const here = path.join(__dirname, "..");
const platform = `${process.platform}-${process.arch}`;
const parts = ["index.node", "libplasmite.so", "plasmite"];
const lacking = parts.filter((name) => built(name) === undefined);
const skip = lacking.length > 0 ? `${lacking.join(", ")} not built` : false;

/** Runs a command; its environment has nothing that names a library or a command line. */
function run(command, args, { env = {}, ...options } = {}) {
  const { PLASMITE_LIB_DIR, PLASMITE_BIN, PLASMITE_SDK_DIR, ...clean } = process.env;
  return spawnSync(command, args, { encoding: "utf8", env: { ...clean, ...env }, ...options });
}

function succeed(command, args, options) {
  const done = run(command, args, options);
  assert.strictEqual(done.status, 0, `${command} ${args.join(" ")}: ${done.error ?? done.stderr}`);
  return done.stdout;
}

/** The package with its native parts, made from an SDK, in a folder of its own. */
function preparedPackage(folder) {
  const sdk = path.join(folder, "sdk");
  fs.mkdirSync(path.join(sdk, "lib"), { recursive: true });
  fs.mkdirSync(path.join(sdk, "bin"));
  fs.copyFileSync(built("libplasmite.so"), path.join(sdk, "lib", "libplasmite.so"));
  fs.copyFileSync(built("plasmite"), path.join(sdk, "bin", "plasmite"));

  const copy = path.join(folder, "package");
  const left = new Set(["native", "node_modules", "test", "index.node"].map((name) => path.join(here, name)));
  fs.cpSync(here, copy, { recursive: true, filter: (source) => !left.has(source) });
  fs.copyFileSync(built("index.node"), path.join(copy, "index.node"));
  fs.mkdirSync(path.join(copy, "native", platform), { recursive: true });
  fs.writeFileSync(path.join(copy, "native", platform, "stale"), "");
  succeed("npm", ["run", "--silent", "prepare-native"], { cwd: copy, env: { PLASMITE_SDK_DIR: sdk } });
  return copy;
}

/** A project that has the package installed, as a user has it. */
function installedProject(folder) {
  const copy = preparedPackage(folder);
  const [packed] = JSON.parse(succeed("npm", ["pack", "--json"], { cwd: copy }));
  const project = path.join(folder, "project");
  fs.mkdirSync(project);
  fs.writeFileSync(path.join(project, "package.json"), '{"name":"project","private":true}');
  succeed("npm", ["install", "--offline", "--no-audit", "--no-fund", path.join(copy, packed.filename)], {
    cwd: project,
  });
  return { packed, project };
}

test("the package has all it needs, and works where it is installed", { skip }, (t) => {
  const folder = temporaryFolder(t);
  const { packed, project } = installedProject(folder);
  const files = packed.files.map((file) => file.path);
  for (const name of ["index.js", "message.js", "mappings.js", "remote.js", "types.d.ts", "bin/plasmite.js"]) {
    assert.ok(files.includes(name), name);
  }
  const native = files.filter((file) => file.startsWith("native/")).sort();
  assert.deepStrictEqual(native, parts.map((name) => `native/${platform}/${name}`));
  assert.ok(!files.some((file) => /^(test|src|scripts|cmd)\//.test(file)), files.join(" "));

  const env = { HOME: folder };
  const program = `
    const { Client } = require("plasmite");
    const pool = new Client().pool("work");
    console.log(String(pool.append({ n: 1 }).seq), pool.info().path);`;
  const file = path.join(folder, ".plasmite/pools/work.plasmite");
  assert.strictEqual(succeed("node", ["-e", program], { cwd: project, env }), `1 ${file}\n`);
  const module = 'import { Client, Durability } from "plasmite"; console.log(Client.name, Durability.Flush);';
  const options = { cwd: project, env };
  assert.strictEqual(succeed("node", ["--input-type=module", "-e", module], options), "Client 1\n");
  for (const name of ["plasmite", "pls"]) {
    assert.match(succeed("npx", ["--offline", name, "--version"], options), /0\.8\.0/);
  }
  const failed = run("npx", ["--offline", "plasmite", "fetch", "missing", "1"], options);
  assert.strictEqual(failed.status, 3, failed.stderr);
});

test("prepare-native says what is missing", (t) => {
  const folder = temporaryFolder(t);
  const copy = path.join(folder, "a", "b", "package");
  fs.mkdirSync(copy, { recursive: true });
  fs.cpSync(path.join(here, "scripts"), path.join(copy, "scripts"), { recursive: true });
  const done = run("node", ["scripts/prepare_native_assets.js"], { cwd: copy, env: { PLASMITE_SDK_DIR: folder } });
  assert.strictEqual(done.status, 1);
  assert.match(done.stderr, /index\.node was not found/);
});

test("without the addon all that needs none works, and the rest says so", async (t) => {
  const folder = path.join(temporaryFolder(t), "a", "b", "package");
  fs.mkdirSync(path.join(folder, "bin"), { recursive: true });
  for (const name of fs.readdirSync(here).filter((file) => file.endsWith(".js"))) {
    fs.copyFileSync(path.join(here, name), path.join(folder, name));
  }
  fs.copyFileSync(path.join(here, "bin", "plasmite.js"), path.join(folder, "bin", "plasmite.js"));
  const program = `
    const plasmite = require("./index.js");
    console.log(Object.keys(plasmite).length, plasmite.Durability.Flush, plasmite.ErrorKind.Corrupt);
    console.log(new plasmite.RemoteClient("http://host").baseUrl.host);
    try { new plasmite.Client("x"); } catch (error) { console.log(error.message); }`;
  const lines = succeed("node", ["-e", program], { cwd: folder }).split("\n");
  assert.deepStrictEqual(lines.slice(0, 2), ["17 1 7", "host"]);
  assert.match(lines[2], /native addon is unavailable/);

  const done = run("node", ["bin/plasmite.js", "--version"], { cwd: folder });
  assert.strictEqual(done.status, 1);
  assert.match(done.stderr, /native CLI is unavailable/);
});

test("an addon without its library says which one is missing", { skip }, (t) => {
  const folder = temporaryFolder(t);
  fs.copyFileSync(built("index.node"), path.join(folder, "index.node"));
  const done = run("node", ["-e", `require(${JSON.stringify(path.join(folder, "index.node"))})`]);
  assert.notStrictEqual(done.status, 0);
  assert.match(done.stderr, /libplasmite\.so/);
});

test("the types declare what is exported", () => {
  succeed("node", ["scripts/check_type_surface.js"], { cwd: here });
});

test("the types compile with what users write", (t) => {
  const done = run("npm", ["run", "--silent", "typecheck"], { cwd: here });
  if (/tsc was not found|Cannot find type definition file for 'node'/.test(done.stdout + done.stderr)) {
    t.skip("no TypeScript here: npm install --no-save typescript @types/node");
    return;
  }
  assert.strictEqual(done.status, 0, done.stdout + done.stderr);
});

test("the cookbook's fixture prints its message", (t) => {
  const fixture = path.join(here, "cmd", "cookbook_smoke_fixture.js");
  const folder = path.join(temporaryFolder(t), "pools");
  for (const time of ["first", "again"]) {
    const env = { PLASMITE_LIB_DIR: process.env.PLASMITE_LIB_DIR ?? "" };
    const line = JSON.parse(succeed("node", [fixture, folder], { env }));
    assert.deepStrictEqual(line, { seq: 1, tags: ["cookbook"], data: { task: "resize", id: 1 } }, time);
  }
  succeed("node", [fixture], { env: { HOME: folder } });
  assert.ok(fs.existsSync(path.join(folder, ".plasmite/pools/cookbook-home.plasmite")));
});

// Documents ---------------------------------------------------------------------------------------

/** A folder in which `require("plasmite")` is this package, and plasmite is on the path. */
function home(t) {
  const folder = temporaryFolder(t);
  fs.mkdirSync(path.join(folder, "node_modules"));
  fs.symlinkSync(here, path.join(folder, "node_modules", "plasmite"));
  const env = { HOME: folder, PATH: `${path.dirname(built("plasmite") ?? "/none")}:${process.env.PATH}` };
  if (process.env.PLASMITE_LIB_DIR) env.PLASMITE_LIB_DIR = process.env.PLASMITE_LIB_DIR;
  const client = new Client(path.join(folder, ".plasmite", "pools"));
  t.after(() => client.close());
  return { client, env, folder };
}

function runText({ env, folder }, text) {
  const file = path.join(folder, "example.js");
  fs.writeFileSync(file, text);
  return succeed("node", [file], { cwd: folder, env });
}

function snippet(name) {
  return fs.readFileSync(path.join(__dirname, "snippets", `${name}.js`), "utf8");
}

/** Seq and tags of all messages of a pool, and their data. */
function contents(client, name) {
  const pool = client.openPool(name);
  const lines = [...pool.openStream(undefined, pool.info().messages)].map((line) => JSON.parse(line));
  pool.close();
  return lines.map(({ meta, data }) => [meta.tags, data]);
}

test("the snippet that calls the command line runs as written", { skip }, (t) => {
  const place = home(t);
  runText(place, snippet("000-append"));
  assert.deepStrictEqual(contents(place.client, "foo"), [[[], { from: "node" }]]);
});

test("the snippets that append run as written", (t) => {
  const place = home(t);
  const events = [
    [["deploy"], { service: "api", sha: "f4e5d6c" }],
    [["alert"], { service: "api", msg: "latency spike" }],
  ];
  assert.strictEqual(runText(place, snippet("001-tagged-events")), "");
  const reading = [["sensor"], { sensor: "temp", value: 42100 }];
  assert.deepStrictEqual(contents(place.client, "telemetry"), [reading, ...events]);
  runText(place, snippet("002-event-bus"));
  assert.deepStrictEqual(contents(place.client, "events"), events);
  runText(place, snippet("002-build-progress"));
  assert.deepStrictEqual(contents(place.client, "build").at(-1), [["done"], { step: "finished", ok: true }]);
  assert.strictEqual(contents(place.client, "build").length, 5);
  assert.strictEqual(runText(place, snippet("002-jobs")), "1n\n2n\n3n\n4n\n5n\n");
  assert.strictEqual(runText(place, snippet("002-produce")), "1n [] { task: 'resize', id: 1 }\n");
  assert.strictEqual(runText(place, snippet("002-consume")), "1n [] { task: 'resize', id: 1 }\n");
});

test("the snippet that waits for green runs as written", async (t) => {
  const place = home(t);
  const pool = place.client.pool("ci");
  pool.append({ status: "red" });
  const file = path.join(place.folder, "wait.js");
  fs.writeFileSync(file, snippet("001-wait-for-green"));
  const child = spawn("node", [file], { env: { ...process.env, ...place.env }, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (bytes) => (output += bytes));
  pool.append({ status: "green", commit: "a1b2c3d" });
  const [code] = await once(child, "close");
  assert.strictEqual(code, 0);
  assert.strictEqual(output, "commit a1b2c3d passed \u2014 deploying\n");
  pool.close();
});

function examples(file) {
  const text = fs.readFileSync(file, "utf8");
  return [...text.matchAll(/^```js\n(.*?)^```$/gms)].map((found) => found[1]);
}

test("the first example of the README has less than ten lines, and runs", (t) => {
  const place = home(t);
  const [first] = examples(path.join(here, "README.md"));
  assert.ok(first.trim().split("\n").length < 10);
  assert.strictEqual(runText(place, first), "1n [ 'image' ] { task: 'resize', id: 1 }\n");
});

const manual = path.join(root, "docs", "node.md");

test("the examples of the manual run", { skip: !fs.existsSync(manual) }, (t) => {
  const found = examples(manual);
  assert.ok(found.length >= 5);
  for (const text of found) runText(home(t), text);
});

// Other libraries ---------------------------------------------------------------------------------

const INTERFACE = [
  "error_free", "buf_free", "client_new", "client_free", "pool_create", "pool_open", "pool_free",
  "pool_append_json", "pool_append_lite3", "pool_get_json", "pool_get_lite3", "stream_open",
  "stream_open_ex", "stream_next", "stream_free", "lite3_stream_open", "lite3_stream_open_ex",
  "lite3_stream_next", "lite3_stream_free", "lite3_frame_free",
];

/** A library that has the interface of 0.8.0 and none of the additions; false: cannot be linked. */
function linkPlainLibrary(folder) {
  const script = path.join(folder, "export.map");
  const names = INTERFACE.map((name) => `plsm_${name};`).join(" ");
  fs.writeFileSync(script, `{ global: ${names} local: *; };`);
  const archive = ["-Wl,--whole-archive", built("libplasmite.a"), "-Wl,--no-whole-archive"];
  const output = ["-o", path.join(folder, "libplasmite.so"), `-Wl,--version-script=${script}`];
  return run("cc", ["-shared", ...output, ...archive, "-lpthread", "-ldl", "-lm"]).status === 0;
}

test("the addon works over a library without the additions", { skip: skip || built("libplasmite.a") === undefined }, (t) => {
  const folder = temporaryFolder(t);
  if (!linkPlainLibrary(folder)) {
    t.skip("no linker here");
    return;
  }
  const program = `
    const { Client } = require(${JSON.stringify(here)});
    const client = new Client(${JSON.stringify(folder)});
    const pool = client.pool("work");
    const message = pool.append({ n: 1 }, ["a"]);
    console.log(message.seq, message.data.n, pool.get(1).tags[0]);
    for (const call of [() => pool.flush(), () => pool.follow(), () => pool.followLite3(), () => client.listPools(), () => pool.appendMany([{}])]) {
      try { call(); } catch (error) { console.log(error.kind, error.detail); }
    }
    try { client.openPool("no"); } catch (error) { console.log(error.kind, error.hint); }
    (async () => {
      setTimeout(() => pool.append({ n: 2 }), 20);
      for await (const one of pool.tail()) {
        console.log(one.data.n);
        if (one.data.n === 2) break;
      }
      setTimeout(() => pool.append({ n: 3 }), 20);
      for await (const one of pool.tailLite3({ sinceSeq: 2 })) {
        console.log(one.seq);
        if (one.seq === 3n) break;
      }
    })();`;
  const options = { env: { PLASMITE_LIB_DIR: folder } };
  assert.deepStrictEqual(succeed("node", ["-e", program], options).split("\n"), [
    "1n 1 a",
    "2 flush() needs a newer libplasmite",
    "2 follow() needs a newer libplasmite",
    "2 followLite3() needs a newer libplasmite",
    "2 listPools() needs a newer libplasmite",
    "2 appendMany() needs a newer libplasmite",
    "3 undefined",
    "1",
    "2",
    "2n",
    "3n",
    "",
  ]);
});
