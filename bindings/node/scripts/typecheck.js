#!/usr/bin/env node
"use strict";

// `npm run typecheck`: compiles test/types.ts against types.d.ts. The compiler, with the types of
// Node, is that of node_modules (`npm install --no-save typescript @types/node`), that of the
// tree's tests, or one on the path.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const here = path.join(__dirname, "..");
const modules = [here, path.join(here, "..", "..", "build", "node-types")]
  .map((folder) => path.join(folder, "node_modules"))
  .find((folder) => fs.existsSync(path.join(folder, ".bin", "tsc")));
const compiler = modules === undefined ? "tsc" : path.join(modules, ".bin", "tsc");
const roots = modules === undefined ? [] : ["--typeRoots", path.join(modules, "@types")];

const project = ["--project", path.join(here, "test", "tsconfig.json")];
const done = spawnSync(compiler, [...project, ...roots, ...process.argv.slice(2)], {
  stdio: "inherit",
  shell: process.platform === "win32",
});
if (done.error) {
  process.stderr.write("typecheck: tsc was not found; `npm install --no-save typescript @types/node`\n");
}
process.exitCode = done.status ?? 1;
