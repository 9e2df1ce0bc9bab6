#!/usr/bin/env node
"use strict";

// `npm run prepare-native`: puts the addon, the library and the command line of this platform into
// native/<platform>/, as they are published.
//
// The addon is index.node of this folder (`npm run build`), else one beside the library. Library
// and command line come from the SDK that PLASMITE_SDK_DIR names (lib/ and bin/, or flat), else
// from what was built around this folder.

const fs = require("node:fs");
const path = require("node:path");

const here = path.join(__dirname, "..");
const root = path.join(here, "..", "..");
const platform = `${process.platform}-${process.arch}`;
const target = path.join(here, "native", platform);

const libraryName = { darwin: "libplasmite.dylib", win32: "plasmite.dll" }[process.platform] ?? "libplasmite.so";
const programName = process.platform === "win32" ? "plasmite.exe" : "plasmite";

function folders() {
  const sdk = process.env.PLASMITE_SDK_DIR;
  if (sdk) return [path.join(sdk, "lib"), path.join(sdk, "bin"), sdk];
  return [path.join(root, "target", "debug"), path.join(root, "build")];
}

function find(name, places) {
  const found = places
    .map((folder) => path.join(folder, name))
    .find((file) => fs.existsSync(file) && fs.statSync(file).isFile());
  if (found === undefined) throw new Error(`${name} was not found in ${places.join(", ")}`);
  return found;
}

/** A new file under the same name, so that a process that has the old one mapped keeps it. */
function install(source, name, mode) {
  const file = path.join(target, name);
  fs.rmSync(file, { force: true });
  fs.copyFileSync(source, file);
  fs.chmodSync(file, mode);
}

function main() {
  const places = folders();
  const addon = find("index.node", [here, ...places, path.join(root, "build")]);
  const library = find(libraryName, places);
  const program = find(programName, places);
  fs.rmSync(target, { recursive: true, force: true });
  fs.mkdirSync(target, { recursive: true });
  install(addon, "index.node", 0o755);
  install(library, libraryName, 0o755);
  install(program, programName, 0o755);
}

try {
  main();
} catch (error) {
  process.stderr.write(`prepare-native: ${error.message}\n`);
  process.exitCode = 1;
}
