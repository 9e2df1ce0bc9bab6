#!/usr/bin/env node
"use strict";

// The command line that is in the package: `npx plasmite`, `npx pls`.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const platform = `${process.platform}-${process.arch}`;
const name = process.platform === "win32" ? "plasmite.exe" : "plasmite";
const program = path.join(__dirname, "..", "native", platform, name);

function main() {
  if (!fs.existsSync(program)) {
    process.stderr.write(`plasmite: native CLI is unavailable for ${platform}: ${program} is missing\n`);
    return 1;
  }
  const done = spawnSync(program, process.argv.slice(2), { stdio: "inherit" });
  if (done.error) {
    process.stderr.write(`plasmite: ${done.error.message}\n`);
    return 1;
  }
  if (done.signal) {
    process.kill(process.pid, done.signal); // end as the program did
  }
  return done.status ?? 1;
}

process.exitCode = main();
