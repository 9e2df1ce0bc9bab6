#!/usr/bin/env node
"use strict";

// `npm run check:type-surface`: what index.js exports is what types.d.ts declares.

const fs = require("node:fs");
const path = require("node:path");

const here = path.join(__dirname, "..");
const DECLARATION = /^export (?:const enum|const|class|function) (\w+)/;

const declared = fs
  .readFileSync(path.join(here, "types.d.ts"), "utf8")
  .split("\n")
  .map((line) => DECLARATION.exec(line.trim())?.[1])
  .filter((name) => name !== undefined);
const exported = Object.keys(require(path.join(here, "index.js")));

const missing = exported.filter((name) => !declared.includes(name));
const surplus = declared.filter((name) => !exported.includes(name));
for (const name of missing) process.stderr.write(`types.d.ts does not declare ${name}\n`);
for (const name of surplus) process.stderr.write(`index.js does not export ${name}\n`);
process.exitCode = missing.length + surplus.length > 0 ? 1 : 0;
