"use strict";

const assert = require("node:assert");
const test = require("node:test");
const { setImmediate: turn } = require("node:timers/promises");

const { ErrorKind } = require("../index.js");
const { collect, fillPast, newPool } = require("./support.js");

const seqs = (frames) => frames.map((frame) => Number(frame.seq));

function appendAll(pool, n, tags) {
  for (let i = 1; i <= n; i++) pool.append({ n: i }, tags?.(i));
}

const even = (i) => (i % 2 === 0 ? ["even"] : ["odd"]);

test("frames are iterated over as they come", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 3);
  const tail = pool.tailLite3();
  for (let seq = 1; seq <= 10; seq++) {
    const waiting = tail.next();
    if (seq > 3) {
      await turn();
      pool.append({ n: seq });
    }
    const { value: frame } = await waiting;
    assert.strictEqual(frame.seq, BigInt(seq));
    assert.deepStrictEqual(frame.payload, pool.getLite3(seq).payload);
    assert.strictEqual(frame.time.getTime(), pool.get(seq).time.getTime());
  }
  tail.close();
  assert.strictEqual((await tail.next()).done, true);
});

test("a tail of frames begins and ends where it is told", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 5);
  const read = async (options) => seqs(await collect(pool.tailLite3(options)));
  assert.deepStrictEqual(await read({ maxMessages: 2 }), [1, 2]);
  assert.deepStrictEqual(await read({ sinceSeq: 4n, maxMessages: 2 }), [4, 5]);
  assert.deepStrictEqual(await read({ sinceSeq: 4, maxMessages: 9, timeoutMs: 20 }), [4, 5]);
  assert.deepStrictEqual(await read({ maxMessages: 0 }), []);
});

test("a follow of frames selects in the library", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 6, even);
  const read = async (options) => seqs(await collect(pool.followLite3(options)));
  assert.deepStrictEqual(await read({ last: 2, maxMessages: 2 }), [5, 6]);
  assert.deepStrictEqual(await read({ sinceSeq: 2, tags: "even", maxMessages: 3 }), [2, 4, 6]);
  assert.deepStrictEqual(await read({ sinceSeq: 1, where: ".data.n > 2", tags: ["odd"], maxMessages: 2 }), [3, 5]);
  assert.deepStrictEqual(await read({ sinceTime: 0, idleTimeoutMs: 10 }), [1, 2, 3, 4, 5, 6]);
  assert.deepStrictEqual(await read({ idleTimeoutMs: 10 }), []);
  const follow = pool.followLite3();
  const waiting = follow.next();
  pool.append({ n: 7 });
  assert.strictEqual((await waiting).value.seq, 7n);
  await follow.return();
});

test("wrong options are refused", async (t) => {
  const { pool } = newPool(t);
  const refused = (options, error) => assert.rejects(pool.tailLite3(options).next(), error);
  await refused({ tags: "a" }, { name: "TypeError", message: "tags are for followLite3()" });
  await refused({ sinceSeq: -1 }, /sinceSeq must be non-negative/);
  await refused({ sinceSeq: "1" }, TypeError);
  await refused({ maxMessages: NaN }, TypeError);
  await refused({ timeoutMs: "soon" }, TypeError);
  await refused({ errorOnGap: 1 }, TypeError);
  assert.throws(() => pool.followLite3({ last: 1, sinceSeq: 1 }), /exclude each other/);
  assert.throws(() => pool.followLite3({ where: "(((" }), { kind: ErrorKind.Usage });
  assert.throws(() => pool.followLite3({ tags: [1] }), TypeError);
  pool.close();
  await refused({}, { kind: ErrorKind.Usage });
  assert.throws(() => pool.followLite3(), { kind: ErrorKind.Usage });
});

test("a wait for a frame is ended from anywhere", async (t) => {
  const { pool } = newPool(t);
  for (const method of ["tailLite3", "followLite3"]) {
    const control = new AbortController();
    const reason = new Error("enough");
    const waiting = pool[method]({ signal: control.signal }).next();
    await turn();
    control.abort(reason);
    await assert.rejects(waiting, reason);
    await assert.rejects(pool[method]({ signal: control.signal }).next(), reason);

    for (const end of ["close", "return"]) {
      const frames = pool[method]();
      const next = [frames.next(), frames.next()];
      await turn();
      await frames[end]();
      frames.close();
      for (const step of await Promise.all(next)) assert.strictEqual(step.done, true);
      assert.strictEqual((await frames.next()).done, true);
    }
  }
});

test("a gap is an error of frames, too", async (t) => {
  const { pool } = newPool(t, 65536);
  appendAll(pool, 1);
  const tail = pool.tailLite3({ errorOnGap: true });
  assert.strictEqual((await tail.next()).value.seq, 1n);
  const missing = pool.append({ n: 2 }).seq;
  fillPast(pool, missing);
  await assert.rejects(tail.next(), { kind: ErrorKind.RetentionGap, seq: Number(missing) });
  assert.strictEqual((await tail.next()).done, true);
  const [next] = await collect(pool.tailLite3({ sinceSeq: missing }), 1);
  assert.ok(next.seq > missing);
});

test("what has no frame is an error, behind which one goes on", async (t) => {
  const { pool } = newPool(t);
  pool.append({ n: 1 });
  pool.append(Buffer.from(`{"deep":${"[".repeat(40)}${"]".repeat(40)}}`));
  pool.append({ n: 3 });
  const read = [];
  const loop = async (sinceSeq) => {
    for await (const frame of pool.tailLite3({ sinceSeq, maxMessages: 2 })) read.push(Number(frame.seq));
  };
  await assert.rejects(loop(1), { kind: ErrorKind.Usage, seq: 2 });
  await assert.rejects(loop(2), { kind: ErrorKind.Usage, seq: 2 });
  await collect(pool.tailLite3({ sinceSeq: 3, maxMessages: 1 }));
  assert.deepStrictEqual(read, [1]);
});

test("the event loop has its turns while there are always more frames", async (t) => {
  const { pool } = newPool(t, 8 << 20);
  pool.appendMany(Array.from({ length: 4000 }, (_, n) => ({ n })));
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  for (let round = 0; round < 5; round++) await collect(pool.tailLite3({ maxMessages: 4000 }));
  isOver = true;
  assert.ok(turns > 0);
});
