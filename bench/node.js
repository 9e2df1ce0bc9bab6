#!/usr/bin/env node
"use strict";

// The lanes of the Node binding: bench_node OP key=value...
//
//   append        objects of 256 bytes of JSON, each given as a message
//   append_bytes  the same as ready JSON bytes
//   follow        a history of such messages through `for await`, the data of each parsed
//
// Each alternates with its floor, what JavaScript pays without any pool, in slices of the same
// process. Prints {"ours": per second, "floor": per second}.

const fs = require("node:fs");
const path = require("node:path");

process.env.PLASMITE_LIB_DIR ??= path.join(__dirname, "..");
const { Client } = require("../../bindings/node/index.js");

const SLICE_MESSAGES = 1000;
const VARIANTS = 64;
const COLD_SLICES = 20; // until the code is compiled

function check(condition, problem) {
  if (condition) return;
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}

/** Objects of 256 bytes as JSON text. */
function payloads() {
  return Array.from({ length: VARIANTS }, (_, i) => {
    const value = { id: 1000 + i, level: i % 8 === 0 ? "error" : "info", host: "web-1", ok: true, text: "" };
    value.text = "x".repeat(256 - JSON.stringify(value).length);
    return value;
  });
}

/** Messages a second of both, in turns until the time is over. */
async function alternate(ms, ours, floor) {
  const spent = { ours: 0, floor: 0 };
  let slices = 0;
  for (let i = 0; i < COLD_SLICES; i++) {
    await ours();
    await floor();
  }
  for (const end = performance.now() + ms; performance.now() < end || slices < 2; slices++) {
    const began = performance.now();
    await ours();
    const between = performance.now();
    await floor();
    spent.ours += between - began;
    spent.floor += performance.now() - between;
  }
  const rate = (milliseconds) => (slices * SLICE_MESSAGES * 1000) / milliseconds;
  return { ours: rate(spent.ours), floor: rate(spent.floor) };
}

/** Fills the pool once, so that no page of it is new. */
function warm(pool, values) {
  const { ringSize } = pool.info();
  for (let bytes = 0, i = 0; bytes < ringSize * 1.1; bytes += 256, i++) pool.append(values[i % VARIANTS]);
}

async function append(pool, { ms }, bytes) {
  const values = payloads();
  warm(pool, values);
  const texts = values.map((value) => Buffer.from(JSON.stringify(value)));
  const first = pool.info().nextSeq;
  const ring = Buffer.alloc(1 << 20);
  let appended = 0n;

  const ours = () => {
    for (let i = 0; i < SLICE_MESSAGES; i++) {
      if (bytes) pool.appendJson(texts[i % VARIANTS]);
      else pool.append(values[i % VARIANTS]);
    }
    appended += BigInt(SLICE_MESSAGES);
  };
  const floor = () => {
    for (let i = 0; i < SLICE_MESSAGES; i++) {
      if (bytes) Buffer.from(texts[i % VARIANTS]);
      else ring.utf8Write(JSON.stringify(values[i % VARIANTS]), (i * 256) % ring.length);
    }
  };
  const rates = await alternate(ms, ours, floor);
  const { nextSeq, newestSeq } = pool.info();
  check(nextSeq === first + appended, "messages are missing");
  const last = values[(SLICE_MESSAGES - 1) % VARIANTS];
  check(JSON.stringify(pool.get(newestSeq).data) === JSON.stringify(last), "wrong data was stored");
  return rates;
}

async function follow(pool, { ms }) {
  warm(pool, payloads());
  const { oldestSeq } = pool.info();
  const n = pool.info().messages - 1;
  check(n >= SLICE_MESSAGES, "the pool is too small");
  const raw = pool.openStream(oldestSeq, SLICE_MESSAGES);
  const lines = Buffer.concat([...raw].flatMap((line) => [line, Buffer.from("\n")]));
  raw.close();
  let tail = pool.tail({ sinceSeq: oldestSeq, maxMessages: n });
  let expected = oldestSeq;

  const ours = async () => {
    for (let left = SLICE_MESSAGES; left > 0; ) {
      const { value, done } = await tail.next();
      if (done) {
        tail = pool.tail({ sinceSeq: oldestSeq, maxMessages: n });
        expected = oldestSeq;
        continue;
      }
      check(value.seq === expected && value.data.text.length > 0, "a wrong message was read");
      expected += 1n;
      left -= 1;
    }
  };
  const floor = () => {
    for (let start = 0; start < lines.length; ) {
      const end = lines.indexOf(10, start);
      check(JSON.parse(lines.utf8Slice(start, end)).data.text.length > 0, "a wrong line");
      start = end + 1;
    }
  };
  const rates = await alternate(ms, ours, floor);
  tail.close();
  return rates;
}

async function main([op, ...args]) {
  const options = Object.fromEntries(args.map((arg) => arg.split(/=(.*)/s)));
  const settings = { ms: Number(options.ms ?? 200) };
  const folder = fs.mkdtempSync(path.join(options.dir ?? ".", "node-"));
  const pool = new Client(folder).pool("bench", Number(options.pool_mib ?? 64) << 20);
  const ops = {
    append: () => append(pool, settings, false),
    append_bytes: () => append(pool, settings, true),
    follow: () => follow(pool, settings),
  };
  check(Object.hasOwn(ops, op ?? ""), `bench_node: no such op: ${op}`);
  const rates = await ops[op]();
  pool.close();
  fs.rmSync(folder, { recursive: true });
  process.stdout.write(`${JSON.stringify(rates)}\n`);
}

main(process.argv.slice(2));
