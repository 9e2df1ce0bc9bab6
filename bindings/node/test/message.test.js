"use strict";

const assert = require("node:assert");
const { inspect } = require("node:util");
const test = require("node:test");

const { Message, parseMessage } = require("../index.js");
const { newPool } = require("./support.js");

const TEXT =
  '{"seq":7,"time":"2026-01-02T03:04:05.678901234Z","meta":{"tags":["a","b"]},"data":{"k":[1]}}';

test("a message is parsed from its bytes", () => {
  const bytes = Buffer.from(TEXT);
  const message = parseMessage(bytes);
  assert.ok(message instanceof Message);
  assert.strictEqual(message.seq, 7n);
  assert.strictEqual(message.timeRfc3339, "2026-01-02T03:04:05.678901234Z");
  assert.strictEqual(message.time.toISOString(), "2026-01-02T03:04:05.678Z");
  assert.deepStrictEqual(message.data, { k: [1] });
  assert.deepStrictEqual(message.meta, { tags: ["a", "b"] });
  assert.strictEqual(message.tags, message.meta.tags);
  assert.strictEqual(message.raw, bytes);
  assert.strictEqual(parseMessage(message), message);
  assert.strictEqual(parseMessage(new Uint8Array(bytes)).raw.toString(), TEXT);
});

test("a message is parsed from an envelope", () => {
  for (const seq of [7, 7n, "7"]) {
    const message = parseMessage({ seq, time: "2026-01-02T03:04:05Z", data: 1, meta: { tags: ["a"] } });
    assert.strictEqual(message.seq, 7n);
    assert.strictEqual(
      message.raw.toString(),
      '{"seq":7,"time":"2026-01-02T03:04:05Z","data":1,"meta":{"tags":["a"]}}',
    );
  }
  const big = parseMessage({ seq: 2n ** 60n, time: "2026-01-02T03:04:05Z", data: {}, meta: {} });
  assert.match(big.raw.toString(), /^\{"seq":"1152921504606846976",/);
  assert.deepStrictEqual([...big.tags], []);
  assert.deepStrictEqual([...parseMessage({ ...big.toJSON(), meta: { tags: [1] } }).tags], []);
});

test("a seq above 2^53 is exact", () => {
  const text = TEXT.replace('"seq":7', '"seq":18446744073709551615');
  assert.strictEqual(parseMessage(Buffer.from(text)).seq, 2n ** 64n - 1n);
});

test("what is no message is a type error", () => {
  const time = "2026-01-02T03:04:05Z";
  const bad = [
    undefined, null, 1, "text", [], {}, Buffer.from("{"), Buffer.from("[]"), Buffer.from("1"),
    { seq: 1, data: {} }, { seq: 1, time: "yesterday", data: {} }, { time, data: {} },
    { seq: -1, time, data: {} }, { seq: 1.5, time, data: {} }, { seq: "x", time, data: {} },
    { seq: 1, time: 5, data: {} },
  ];
  for (const value of bad) assert.throws(() => parseMessage(value), TypeError, inspect(value));
});

test("tags and meta are frozen", (t) => {
  const { pool } = newPool(t);
  const tags = ["a"];
  for (const message of [parseMessage(Buffer.from(TEXT)), pool.append({}, tags), pool.get(1), pool.append({})]) {
    assert.ok(Object.isFrozen(message.meta));
    assert.ok(Object.isFrozen(message.tags));
  }
  tags.push("b");
  assert.ok(!Object.isFrozen(tags));
  assert.deepStrictEqual([...pool.get(1).tags], ["a"]);
});

test("a message shows itself", (t) => {
  const { pool } = newPool(t);
  const message = pool.append({ k: 1 }, ["a"]);
  assert.match(inspect(message), /Message \{[^]*seq: 1n[^]*tags: \[ 'a' \][^]*data: \{ k: 1 \}/);
  const copy = JSON.parse(JSON.stringify(message));
  assert.deepStrictEqual(copy, {
    seq: 1, time: message.timeRfc3339, data: { k: 1 }, meta: { tags: ["a"] },
  });
});
