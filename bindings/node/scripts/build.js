#!/usr/bin/env node
"use strict";

// `npm run build`: builds the addon with the tree around this folder, and puts it here as
// index.node. Without that tree, or without the tools, an addon that is there already is kept.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const here = path.join(__dirname, "..");
const root = path.join(here, "..", "..");
const target = path.join(here, "index.node");

function buildTree() {
  const build = path.join(root, "build");
  const output = { stdio: ["ignore", "ignore", "inherit"] };
  if (fs.existsSync(path.join(build, "build.ninja"))) {
    spawnSync("ninja", ["-C", build, "index.node"], output);
  } else if (fs.existsSync(path.join(root, "meson.build"))) {
    spawnSync("make", ["-C", root], output);
  }
}

function built() {
  const folders = [process.env.PLASMITE_LIB_DIR, path.join(root, "build")];
  return folders
    .filter((folder) => folder)
    .map((folder) => path.join(folder, "index.node"))
    .find((file) => fs.existsSync(file));
}

buildTree();
const source = built();
if (source !== undefined) {
  fs.rmSync(target, { force: true });
  fs.copyFileSync(source, target);
} else if (!fs.existsSync(target)) {
  process.stderr.write(
    "the addon was not built: `make` at the root of the tree needs meson and the headers of Node\n",
  );
  process.exitCode = 1;
}
