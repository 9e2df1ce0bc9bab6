"use strict";

const assert = require("node:assert");
const test = require("node:test");
const { setTimeout: delay, setImmediate: turn } = require("node:timers/promises");

const { ErrorKind, PlasmiteNativeError, Pool, replay } = require("../index.js");
const { collect, fillPast, newPool, numbers } = require("./support.js");

const LONG_MS = 60000;

function appendAll(pool, n, tags) {
  for (let i = 1; i <= n; i++) pool.append({ n: i }, tags?.(i));
}

const even = (i) => (i % 2 === 0 ? ["even", `${i}`] : ["odd"]);

test("a tail begins with the oldest message, or where it is told", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 5);
  assert.deepStrictEqual(numbers(await collect(pool.tail(), 5)), [1, 2, 3, 4, 5]);
  assert.deepStrictEqual(numbers(await collect(pool.tail({ sinceSeq: 3n }), 3)), [3, 4, 5]);
  assert.deepStrictEqual(numbers(await collect(pool.tail({ sinceSeq: 4, maxMessages: 1n }))), [4]);
  assert.deepStrictEqual(numbers(await collect(pool.tail({ maxMessages: 2.9 }))), [1, 2]);
  assert.deepStrictEqual(await collect(pool.tail({ maxMessages: 0 })), []);
});

test("a tail gives what is appended while it waits", async (t) => {
  const { pool } = newPool(t);
  const tail = pool.tail();
  const first = tail.next();
  const second = tail.next();
  const third = tail.next();
  await turn();
  appendAll(pool, 2);
  assert.strictEqual((await first).value.data.n, 1);
  assert.strictEqual((await second).value.data.n, 2);
  pool.append({ n: 3 });
  assert.strictEqual((await third).value.data.n, 3);
  assert.deepStrictEqual(await tail.return("left"), { value: "left", done: true });
  assert.deepStrictEqual(await tail.next(), { value: undefined, done: true });
});

test("tags must all be there, and the maximum counts what has them", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 10, even);
  const read = async (options) => numbers(await collect(pool.tail(options)));
  assert.deepStrictEqual(await read({ tags: "even", maxMessages: 3 }), [2, 4, 6]);
  assert.deepStrictEqual(await read({ tags: ["even", "8"], maxMessages: 1 }), [8]);
  assert.deepStrictEqual(await read({ tags: ["eve"], maxMessages: 1, timeoutMs: 20 }), []);
  assert.deepStrictEqual(await read({ tags: [], maxMessages: 1 }), [1]);
});

test("a tail with a maximum ends after a window without a message", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 2);
  assert.deepStrictEqual(numbers(await collect(pool.tail({ maxMessages: 5, timeoutMs: 20 }))), [1, 2]);
  assert.deepStrictEqual(await collect(pool.tail({ sinceSeq: 9, maxMessages: 1, timeoutMs: 10n })), []);
});

test("a tail without a maximum outlives its windows", async (t) => {
  const { pool } = newPool(t);
  const next = pool.tail({ timeoutMs: 5 }).next();
  await delay(40);
  pool.append({ n: 1 });
  assert.strictEqual((await next).value.data.n, 1);
});

test("wrong options are errors of the first next()", async (t) => {
  const { pool } = newPool(t);
  const refused = (options, error, method = "tail") =>
    assert.rejects(pool[method](options).next(), error, JSON.stringify(options));
  await refused({ maxMessages: -1 }, { name: "TypeError", message: "maxMessages must be non-negative" });
  await refused({ maxMessages: NaN }, { name: "TypeError", message: "maxMessages must be non-negative" });
  await refused({ timeoutMs: "soon" }, { name: "TypeError", message: "timeoutMs must be numeric" });
  await refused({ timeoutMs: NaN }, { name: "TypeError", message: "timeoutMs must be numeric" });
  await refused({ tags: [1] }, TypeError);
  await refused({ errorOnGap: "yes" }, TypeError);
  await assert.rejects(pool.tail({ sinceSeq: -1n }).next(), /sinceSeq must be non-negative/);
  for (const speed of [0, -1, NaN, "fast"]) {
    await refused({ speed }, { message: "speed must be positive" }, "replay");
  }
  for (const timeoutMs of [0, -5, null, undefined]) {
    pool.append({});
    await collect(pool.tail({ maxMessages: 1, timeoutMs }));
  }
});

test("a tail goes on after what was lost, unless that is to be an error", async (t) => {
  const { pool } = newPool(t, 65536);
  const first = pool.append({ n: 1 }).seq;
  fillPast(pool, first);
  const [going] = await collect(pool.tail({ sinceSeq: first, maxMessages: 1 }));
  assert.ok(going.seq > first);

  const failing = pool.tail({ sinceSeq: first, tags: ["never"], timeoutMs: 500, errorOnGap: true });
  await assert.rejects(failing.next(), (error) => {
    assert.ok(error instanceof PlasmiteNativeError);
    assert.strictEqual(error.kind, ErrorKind.RetentionGap);
    assert.strictEqual(error.seq, Number(first));
    assert.match(error.message, /the next available message is/);
    assert.match(error.detail, /^messages 1-\d+ are no longer retained; the next available message is \d+$/);
    assert.ok(error.hint.length > 0);
    return true;
  });
  assert.deepStrictEqual(await failing.next(), { value: undefined, done: true });
});

test("a gap is reported to a tail that was up to date before", async (t) => {
  const { pool } = newPool(t, 65536);
  appendAll(pool, 2);
  const tail = pool.tail({ sinceSeq: 1n, errorOnGap: true });
  assert.strictEqual((await tail.next()).value.data.n, 1);
  assert.strictEqual((await tail.next()).value.data.n, 2);
  const missing = pool.append({ n: 3 }).seq;
  fillPast(pool, missing);
  await assert.rejects(tail.next(), { kind: ErrorKind.RetentionGap, seq: Number(missing) });
  assert.strictEqual((await tail.next()).done, true);
});

test("a gap wakes a tail that waits", async (t) => {
  const { pool } = newPool(t, 65536);
  const tail = pool.tail({ sinceSeq: 1, errorOnGap: true });
  const waiting = tail.next();
  await turn();
  fillPast(pool, pool.append({ n: 1 }).seq); // no turn of the loop in between
  await assert.rejects(waiting, { kind: ErrorKind.RetentionGap, seq: 1 });
});

test("the event loop goes on while a tail waits", async (t) => {
  const { pool } = newPool(t);
  const tails = Array.from({ length: 20 }, () => pool.tail({ timeoutMs: LONG_MS }));
  const waiting = tails.map((tail) => tail.next());
  let turns = 0;
  for (; turns < 100; turns++) await turn();
  pool.append({ n: 7 });
  for (const { value } of await Promise.all(waiting)) assert.strictEqual(value.data.n, 7);
  tails.forEach((tail) => tail.close());
});

test("the event loop has its turns while there is always more to read", async (t) => {
  const { pool } = newPool(t, 1 << 20);
  pool.append({ n: 0 });
  let turns = 0;
  let stop = false;
  const count = () => {
    turns += 1;
    if (turns < 3) setImmediate(count);
    else stop = true;
  };
  setImmediate(count);
  for await (const message of pool.tail()) {
    pool.append({ n: message.data.n + 1 });
    if (stop) break;
  }
  assert.strictEqual(turns, 3);
});

test("leaving the loop ends the tail", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 3);
  const tail = pool.tail();
  for await (const message of tail) if (message.data.n === 2) break;
  assert.strictEqual((await tail.next()).done, true);

  const failing = pool.tail();
  await assert.rejects(async () => {
    for await (const message of failing) throw new Error(`no ${message.data.n}`);
  }, /no 1/);
  assert.strictEqual((await failing.next()).done, true);
  await assert.rejects(pool.tail().throw(new Error("thrown")), /thrown/);
});

test("a tail is ended from elsewhere while it waits", async (t) => {
  const { pool } = newPool(t);
  const closed = pool.tail();
  const waiting = [closed.next(), closed.next()];
  closed.close();
  closed.close();
  for (const step of await Promise.all(waiting)) assert.strictEqual(step.done, true);

  const left = pool.tail();
  const late = left.next();
  await left.return();
  assert.strictEqual((await late).done, true);
});

test("a tail outlives its pool and its client", async (t) => {
  const { client, pool } = newPool(t);
  const other = client.openPool("work");
  const tail = pool.tail();
  const waiting = tail.next();
  await turn();
  pool.close();
  other.append({ n: 1 });
  assert.strictEqual((await waiting).value.data.n, 1);
  tail.close();
  await assert.rejects(pool.tail().next(), { kind: ErrorKind.Usage });
  other.close();
});

test("a signal ends a tail with its reason", async (t) => {
  const { pool } = newPool(t);
  const control = new AbortController();
  const tail = pool.tail({ signal: control.signal });
  const waiting = tail.next();
  const reason = new Error("enough");
  control.abort(reason);
  await assert.rejects(waiting, reason);
  assert.strictEqual((await tail.next()).done, true);

  const late = pool.tail({ signal: control.signal });
  await assert.rejects(late.next(), reason);
  assert.strictEqual((await late.next()).done, true);

  const idle = new AbortController();
  pool.append({ n: 1 });
  const between = pool.tail({ signal: idle.signal });
  assert.strictEqual((await between.next()).value.data.n, 1);
  idle.abort(reason);
  await assert.rejects(between.next(), reason);
  assert.strictEqual((await between.next()).done, true);
});

test("a tail closes at the end of a block", { skip: Symbol.asyncDispose === undefined }, async (t) => {
  const { pool } = newPool(t);
  const tail = pool.tail();
  const waiting = tail.next();
  await tail[Symbol.asyncDispose]();
  assert.strictEqual((await waiting).done, true);
});

test("a long history is read in order, without a hole", async (t) => {
  const { pool } = newPool(t, 8 << 20);
  appendAll(pool, 20000, even);
  let expected = 1n;
  for await (const message of pool.tail({ maxMessages: 20000 })) {
    assert.strictEqual(message.seq, expected);
    assert.strictEqual(message.tags[0], expected % 2n === 0n ? "even" : "odd");
    expected += 1n;
  }
  assert.strictEqual(expected, 20001n);
});

test("messages of many sizes are read whole", async (t) => {
  const { pool } = newPool(t, 16 << 20);
  const sizes = [1, 100000, 10, 1000000, 0, 300000, 5];
  for (const size of sizes) pool.append({ text: "\u00fc".repeat(size) });
  const messages = await collect(pool.tail({ maxMessages: sizes.length }));
  assert.deepStrictEqual(messages.map((message) => message.data.text.length), sizes);
  for (const message of messages) assert.deepStrictEqual(message.raw, pool.getJson(message.seq));
});

// replay ------------------------------------------------------------------------------------------

test("a replay keeps the pauses, divided by its speed", async (t) => {
  const { pool } = newPool(t);
  pool.append({ n: 1 });
  await delay(120);
  pool.append({ n: 2 });
  const [first, second] = [pool.get(1), pool.get(2)];
  const began = performance.now();
  const messages = await collect(pool.replay({ speed: 2, maxMessages: 2 }));
  assert.deepStrictEqual(numbers(messages), [1, 2]);
  assert.ok(performance.now() - began >= (second.time - first.time) / 2 - 2);
});

test("a replay gives what one window brings", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 6, even);
  const read = async (options) => numbers(await collect(replay(pool, { speed: 1e6, ...options })));
  assert.deepStrictEqual(await read({ timeoutMs: 30 }), [1, 2, 3, 4, 5, 6]);
  assert.deepStrictEqual(await read({ sinceSeq: 3n, maxMessages: 2 }), [3, 4]);
  assert.deepStrictEqual(await read({ tags: ["even"], maxMessages: 2 }), [2, 4]);
  assert.deepStrictEqual(await read({ tags: ["even"], timeoutMs: 30, speed: Infinity }), [2, 4, 6]);
  assert.deepStrictEqual(await read({ maxMessages: 0 }), []);
  assert.deepStrictEqual(await read({ sinceSeq: 99, timeoutMs: 10 }), []);
});

test("a replay is ended while it pauses", async (t) => {
  const { pool } = newPool(t);
  pool.append({ n: 1 });
  await delay(5);
  pool.append({ n: 2 });
  const control = new AbortController();
  const slow = pool.replay({ speed: 1e-9, maxMessages: 2, signal: control.signal });
  assert.strictEqual((await slow.next()).value.data.n, 1);
  const waiting = slow.next();
  control.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
});

// follow ------------------------------------------------------------------------------------------

test("a follow begins at the live end of its call", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 3);
  const follow = pool.follow();
  pool.append({ n: 4 });
  assert.strictEqual((await follow.next()).value.data.n, 4);
  const waiting = follow.next();
  await turn();
  pool.append({ n: 5 });
  assert.strictEqual((await waiting).value.data.n, 5);
  follow.close();
});

test("a follow begins where it is told", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 3);
  await delay(2);
  const time = new Date();
  await delay(2);
  pool.append({ n: 4 });
  const read = async (options, n) => numbers(await collect(pool.follow(options), n));
  assert.deepStrictEqual(await read({ last: 2 }, 2), [3, 4]);
  assert.deepStrictEqual(await read({ last: 99n, maxMessages: 3 }), [1, 2, 3]);
  assert.deepStrictEqual(await read({ sinceSeq: 2n }, 3), [2, 3, 4]);
  assert.deepStrictEqual(await read({ sinceTime: time }, 1), [4]);
  assert.deepStrictEqual(await read({ sinceTime: 0n }, 1), [1]);
  assert.deepStrictEqual(await read({ last: 4, idleTimeoutMs: 10 }), [1, 2, 3, 4]);
  assert.deepStrictEqual(await read({ idleTimeoutMs: 0 }), []);
  assert.throws(() => pool.follow({ last: 1, sinceSeq: 1 }), TypeError);
  assert.throws(() => pool.follow({ sinceTime: new Date(NaN) }), TypeError);
  assert.throws(() => pool.follow({ last: -1 }), /last must be non-negative/);
});

test("a reader that takes its time loses nothing to timeouts", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 4);
  const slowly = async (messages) => {
    const all = [];
    for await (const message of messages) {
      all.push(message.data.n);
      await delay(15);
    }
    return all;
  };
  assert.deepStrictEqual(await slowly(pool.follow({ last: 4, idleTimeoutMs: 3 })), [1, 2, 3, 4]);
  assert.deepStrictEqual(await slowly(pool.tail({ maxMessages: 9, timeoutMs: 3 })), [1, 2, 3, 4]);
  const gaps = pool.tail({ maxMessages: 9, timeoutMs: 3, errorOnGap: true }); // one by one
  assert.deepStrictEqual(await slowly(gaps), [1, 2, 3, 4]);
  const replayed = pool.replay({ speed: Infinity, timeoutMs: 1 });
  assert.deepStrictEqual(await slowly(replayed), [1, 2, 3, 4]);
});

test("a follow filters in the library", async (t) => {
  const { pool } = newPool(t);
  appendAll(pool, 10, even);
  const read = async (options, n) => numbers(await collect(pool.follow({ last: 10, ...options }), n));
  assert.deepStrictEqual(await read({ tags: "even" }, 5), [2, 4, 6, 8, 10]);
  assert.deepStrictEqual(await read({ where: ".data.n > 8" }, 2), [9, 10]);
  assert.deepStrictEqual(await read({ tags: ["odd"], where: [".data.n > 3", ".data.n < 8"] }, 2), [5, 7]);
  assert.deepStrictEqual(await read({ tags: "even", maxMessages: 2 }), [2, 4]);
  assert.throws(() => pool.follow({ where: ".data.n >" }), { name: "PlasmiteNativeError" });

  const waiting = pool.follow({ where: ".data.go == true" }).next();
  for (const go of [false, null, true]) {
    pool.append({ go });
    await turn();
  }
  assert.strictEqual((await waiting).value.data.go, true);
});

test("a follow takes a signal and can fail on a gap", async (t) => {
  const { pool } = newPool(t, 65536);
  const aborted = pool.follow({ signal: AbortSignal.timeout(5) });
  await assert.rejects(aborted.next(), { name: "TimeoutError" });

  const failing = pool.follow({ errorOnGap: true });
  const missing = pool.append({ n: 1 }).seq;
  fillPast(pool, missing);
  await assert.rejects(failing.next(), { kind: ErrorKind.RetentionGap, seq: Number(missing) });
});

// An older library --------------------------------------------------------------------------------

/** The pool as it looks with a library that has no descriptors. */
function plainPool(pool) {
  return new Pool({
    openStream(...args) {
      const stream = pool.openStream(...args);
      return { nextJson: () => stream.nextJson(), close: () => stream.close() };
    },
  });
}

test("without descriptors the pool is looked at now and then", async (t) => {
  const { pool } = newPool(t, 65536);
  const plain = plainPool(pool);
  appendAll(pool, 3, even);
  assert.deepStrictEqual(numbers(await collect(plain.tail(), 3)), [1, 2, 3]);
  const read = async (options) => numbers(await collect(plain.tail(options)));
  assert.deepStrictEqual(await read({ maxMessages: 9, timeoutMs: 300 }), [1, 2, 3]);
  assert.deepStrictEqual(numbers(await collect(plain.replay({ maxMessages: 3 }))), [1, 2, 3]);

  const tail = plain.tail({ sinceSeq: 4, errorOnGap: true });
  const waiting = tail.next();
  await delay(30);
  pool.append({ n: 4 });
  assert.strictEqual((await waiting).value.data.n, 4);
  const missing = pool.append({ n: 5 }).seq;
  fillPast(pool, missing);
  await assert.rejects(tail.next(), { kind: ErrorKind.RetentionGap, seq: Number(missing) });
  assert.strictEqual((await tail.next()).done, true);
  assert.throws(() => plain.follow(), { kind: ErrorKind.Usage });
});
