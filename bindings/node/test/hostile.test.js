"use strict";

const assert = require("node:assert");
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");
const { Worker } = require("node:worker_threads");

const { Client, ErrorKind, installGuard } = require("../index.js");
const { addon } = require("../native.js");
const { newPool, temporaryFolder } = require("./support.js");

const index = path.join(__dirname, "..", "index.js");

/** Runs a program in a process of its own; gives its output, and fails with its errors. */
function run(t, source, { flags = [], folder = temporaryFolder(t), limitMs = 60000, env = {} } = {}) {
  const program = `const { Client, ErrorKind } = require(${JSON.stringify(index)});
    const pool = new Client(${JSON.stringify(folder)}).pool("work");
    ${source}`;
  const done = spawnSync(process.execPath, [...flags, "-e", program], {
    encoding: "utf8",
    timeout: limitMs,
    env: { ...process.env, ...env },
  });
  assert.strictEqual(done.signal, null, done.stderr);
  assert.strictEqual(done.status, 0, done.stderr);
  return done.stdout;
}

test("a process ends although a tail, a pool and a client were never closed", (t) => {
  const output = run(t, `
    pool.append({ n: 1 });
    const tail = pool.tail();
    tail.next().then((step) => console.log(step.value.data.n));
  `);
  assert.strictEqual(output, "1\n");
});

test("a process ends when all that waited was closed", (t) => {
  run(t, `
    const tails = Array.from({ length: 10 }, (_, i) => i % 2 ? pool.tail() : pool.tailLite3());
    const waiting = tails.map((tail) => tail.next());
    setTimeout(() => tails.forEach((tail) => tail.close()), 5);
    Promise.all(waiting).then((steps) => process.exit(steps.every((step) => step.done) ? 0 : 1));
  `);
  run(t, `
    const control = new AbortController();
    pool.follow({ signal: control.signal }).next().catch(() => {});
    setTimeout(() => control.abort(), 5);
  `);
});

test("a process lives on while a tail waits", (t) => {
  const output = run(t, `
    const { spawn } = require("node:child_process");
    pool.tail().next().then((step) => { console.log(step.value.data.late); });
    setTimeout(() => pool.append({ late: true }), 30).unref();
    setTimeout(() => {}, 40);
  `);
  assert.strictEqual(output, "true\n");
});

test("process.exit() while tails wait is an exit", (t) => {
  run(t, `
    for (let i = 0; i < 10; i++) { pool.tail().next(); pool.followLite3().next(); }
    setTimeout(() => process.exit(0), 5);
  `);
});

test("an error thrown in the middle of an iteration is the program's own", (t) => {
  const output = run(t, `
    pool.append({ n: 1 });
    process.on("uncaughtException", (error) => { console.log(error.message); });
    pool.tail().next().then(() => { throw new Error("mine"); });
    process.on("unhandledRejection", (error) => { console.log(error.message); });
  `);
  assert.strictEqual(output, "mine\n");
});

test("garbage collection closes what was forgotten", (t) => {
  const output = run(
    t,
    `
    const fs = require("node:fs");
    const open = () => fs.readdirSync("/proc/self/fd").length;
    const client = new Client(pool.info().path.replace(/.work.plasmite$/, ""));
    const forget = (n) => { for (let i = 0; i < n; i++) { client.openPool("work").openStream(1n, 1n, 5n); } };
    (async () => {
      forget(20);
      const before = open();
      for (let round = 0; round < 50; round++) {
        global.gc();
        await new Promise(setImmediate);
      }
      console.log(open() < before - 15);
    })();
  `,
    { flags: ["--expose-gc"] },
  );
  assert.strictEqual(output, "true\n");
});

test("garbage collection spares what is waited for", (t) => {
  const output = run(
    t,
    `
    const waiting = pool.tail().next();
    const frame = pool.tailLite3().next();
    (async () => {
      for (let round = 0; round < 20; round++) {
        global.gc();
        await new Promise(setImmediate);
      }
      pool.append({ n: 1 });
      console.log((await waiting).value.data.n, (await frame).value.seq);
      process.exit(0);
    })();
  `,
    { flags: ["--expose-gc"] },
  );
  assert.strictEqual(output, "1 1n\n");
});

test("garbage collection closes followers that nobody waits for", { skip: process.platform !== "linux" }, (t) => {
  const output = run(
    t,
    `
    pool.append({ n: 1 });
    const open = () => require("node:fs").readdirSync("/proc/self/fd").length;
    (async () => {
      const before = open();
      let most = 0;
      const forget = async () => {
        const all = [pool.tail(), pool.tailLite3(), pool.follow({ last: 1 }), pool.followLite3({ last: 1 })];
        for (const one of all) await one.next(); // and never again
        most = Math.max(most, open());
      };
      for (let i = 0; i < 10; i++) await forget();
      for (let round = 0; round < 200 && open() > before; round++) {
        global.gc();
        await new Promise(setImmediate);
      }
      console.log(most > before, open() <= before);
    })();
  `,
    { flags: ["--expose-gc"] },
  );
  assert.strictEqual(output, "true true\n");
});

test("leaving the loop by an exception ends the follower", (t) => {
  const output = run(t, `
    pool.append({ n: 1 });
    (async () => {
      for (const method of ["tail", "follow", "tailLite3", "followLite3"]) {
        const follower = pool[method]({ sinceSeq: 1 });
        try {
          for await (const one of follower) throw new Error(method);
        } catch (error) { console.log(error.message, (await follower.next()).done); }
      }
    })();
  `); // and nothing keeps the process
  assert.strictEqual(output, "tail true\nfollow true\ntailLite3 true\nfollowLite3 true\n");
});

test("a file that is cut off ends those who wait for it", async (t) => {
  const { pool } = newPool(t);
  pool.append({ n: 1 });
  const followers = ["tail", "follow", "tailLite3", "followLite3"].map((method) => pool[method]({ sinceSeq: 1 }));
  for (const follower of followers) await follower.next();
  const waiting = followers.map((follower) => follower.next());
  for (const one of waiting) one.catch(() => {});
  await new Promise(setImmediate);
  fs.truncateSync(pool.info().path, 524288);
  for (const one of waiting) await assert.rejects(one, { kind: ErrorKind.Corrupt });
  for (const follower of followers) assert.strictEqual((await follower.next()).done, true);
});

test("nothing for options is no options, and a signal is one", async (t) => {
  const { pool } = newPool(t);
  pool.append({ n: 1 });
  for (const method of ["tail", "replay", "follow", "tailLite3", "followLite3"]) {
    for (const options of [undefined, null, {}]) pool[method](options).close();
    for (const signal of [{}, 1, "x"]) assert.throws(() => pool[method]({ signal }), TypeError, method);
    pool[method]({ signal: null }).close();
  }
  assert.strictEqual((await pool.tail(null).next()).value.data.n, 1);
});

test("a life with everything in it leaks nothing", (t) => {
  const folder = temporaryFolder(t);
  // under AddressSanitizer the process fails if it does
  const env = process.env.ASAN_OPTIONS ? { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS}:detect_leaks=1` } : {};
  const source = `
    const attempt = (call) => { try { call(); } catch {} };
    const turn = () => new Promise(setImmediate);
    async function live(client, close) {
      const pool = client.pool("life");
      pool.append({ a: 1 }, ["x", "y"]);
      pool.appendJson(Buffer.from("{}"));
      pool.appendMany([{ a: 1 }, { b: 2 }], ["q"]);
      attempt(() => pool.append({}, ["a", 1]));
      attempt(() => pool.append("x"));
      attempt(() => client.openPool("no"));
      attempt(() => pool.get(99999));
      attempt(() => pool.follow({ where: "(((" }));
      attempt(() => pool.appendLite3(pool.getLite3(1).payload));
      attempt(() => [...pool.openLite3Stream(1, 1)]);
      pool.flush(); pool.info(); pool.verify(); client.listPools();
      const follow = pool.follow({ last: 9, tags: "q", where: ".data.a == 1" });
      await follow.next();
      follow.next();
      await turn();
      follow.close();
      attempt(() => pool.followLite3({ where: "(((" }));
      const frames = pool.followLite3({ last: 9, tags: "q" });
      await frames.next();
      frames.next();
      await turn();
      frames.close();
      const tail = pool.tail();
      for (let i = 0; i < 50; i++) tail.next();
      await turn();
      await tail.return();
      [...pool.openStream(1, 2)];
      if (close) { pool.close(); client.close(); }
    }
    (async () => {
      for (let round = 0; round < 10; round++) {
        await live(new Client(${JSON.stringify(folder)}), round % 2 === 0);
        global.gc();
        await turn();
      }
      const { Worker } = require("node:worker_threads");
      const program = "const { Client } = require(" + ${JSON.stringify(JSON.stringify(index))} + ");" +
        "new Client(" + ${JSON.stringify(JSON.stringify(folder))} + ").pool('life').tail({ sinceSeq: 1e9 }).next();" +
        "setImmediate(() => process.exit());";
      await new Promise((resolve) => new Worker(program, { eval: true }).on("exit", resolve));
    })();
  `;
  run(t, source, { flags: ["--expose-gc"], folder, env });
});

test("a hundred tails that wait take one thread of the library", { skip: process.platform !== "linux" }, (t) => {
  const output = run(t, `
    const threads = () => require("node:fs").readdirSync("/proc/self/task").length;
    const before = threads();
    const tails = Array.from({ length: 100 }, (_, i) => i % 2 ? pool.tail() : pool.tailLite3());
    tails.forEach((tail) => tail.next());
    setTimeout(() => {
      console.log(threads() - before);
      tails.forEach((tail) => tail.close());
    }, 20);
  `);
  assert.ok(Number(output) <= 1, output);
});

test("methods refuse objects that are not theirs", (t) => {
  const { pool, folder } = newPool(t);
  const inner = new addon.Client(folder);
  const stream = inner.openPool("work").openStream(1n, 1n, 1n, false);
  for (const method of ["nextJson", "close", "take", "watch", "position"]) {
    if (stream[method] === undefined) continue;
    for (const self of [inner, {}, null, undefined, 1, pool, Object.create(addon.Stream.prototype)]) {
      assert.throws(() => addon.Stream.prototype[method].call(self, 1), TypeError, method);
    }
  }
  const frames = inner.openPool("work").openLite3Stream(1n, 1n, 1n, false);
  for (const method of ["next", "close", "take", "watch", "requireTags", "seekLast"]) {
    for (const self of [inner, stream, {}, null, addon.Lite3Stream]) {
      assert.throws(() => addon.Lite3Stream.prototype[method].call(self, 1), TypeError, method);
    }
  }
  assert.throws(() => addon.Stream.prototype.take.call(frames, 1), TypeError);
  frames.close();
  for (const method of ["next", "take", "watch", "seekLast", "position"]) {
    assert.throws(() => frames[method](() => {}), /kind=Usage; message=stream is null/, method);
  }
  frames.unwatch();
  for (const Class of [addon.Client, addon.Pool, addon.Stream, addon.Lite3Stream]) assert.throws(() => Class("x"), TypeError);
  const empty = new addon.Pool();
  assert.throws(() => empty.getJson(1), /kind=Usage; message=pool is null/);
  empty.close();
  assert.throws(() => new addon.Stream().nextJson(), /kind=Usage; message=stream is null/);
  class Mine extends addon.Client {}
  new Mine(folder).openPool("work").close();
  stream.close();
});

test("code that runs inside a call cannot pull the handle away", (t) => {
  const { folder } = newPool(t);
  const inner = new addon.Client(folder).openPool("work");
  const payload = Buffer.from("{}");
  const tags = ["a"];
  Object.defineProperty(tags, 0, {
    get() {
      inner.close();
      return "a";
    },
  });
  assert.throws(() => inner.appendJson(payload, tags, 0), /pool is null/);
  for (const open of ["openStream", "openLite3Stream"]) {
    const stream = new addon.Client(folder).openPool("work")[open](1n, 1n, 1n, false);
    const closing = ["a"];
    Object.defineProperty(closing, 0, {
      get() {
        stream.close();
        return "a";
      },
    });
    assert.throws(() => stream.requireTags(closing), /stream is null/);
  }

  const other = new addon.Client(folder).openPool("work");
  let reads = 0;
  const growing = new Proxy(["a"], {
    get: (target, name) => (name === "0" && reads++ > 0 ? "long".repeat(1000) : target[name]),
  });
  assert.throws(() => other.appendJson(payload, growing, 0), TypeError); // no longer what was measured
  const bytes = new Uint8Array(new ArrayBuffer(2));
  bytes.set(payload);
  const giving = ["a"];
  Object.defineProperty(giving, 0, {
    get() {
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      return "a";
    },
  });
  assert.throws(() => other.appendJson(bytes, giving, 0), /kind=Usage/);
  other.close();
});

test("bytes of shared memory are taken as they were", (t) => {
  const { pool } = newPool(t);
  const bytes = new Uint8Array(new SharedArrayBuffer(7));
  bytes.set(Buffer.from('{"n":1}'));
  assert.strictEqual(pool.append(bytes).data.n, 1);
});

test("other views of memory are refused", (t) => {
  const { folder } = newPool(t);
  const inner = new addon.Client(folder).openPool("work");
  for (const payload of [new Uint16Array(4), new DataView(new ArrayBuffer(4)), new ArrayBuffer(4), {}, 5, null]) {
    assert.throws(() => inner.appendJson(payload, [], 0), TypeError);
  }
  inner.close();
});

test("a receipt that was given away is not written to", (t) => {
  const output = run(t, `
    const { addon } = require(${JSON.stringify(path.join(__dirname, "..", "native.js"))});
    const { buffer } = addon.receipt;
    structuredClone(buffer, { transfer: [buffer] });
    for (let i = 0; i < 100; i++) { try { pool.append({ i }); } catch {} }
    console.log(pool.get(100).data.i);
  `);
  assert.strictEqual(output, "99\n");
});

test("Buffers keep their bytes, whoever gives away the memory they share", (t) => {
  const { pool } = newPool(t);
  for (let n = 1; n <= 500; n++) pool.append({ n, text: "x".repeat(n % 50) });
  const kept = [];
  for (let n = 1; n <= 500; n++) {
    const bytes = pool.getJson(n);
    if (n % 7 === 0) structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    else kept.push([n, bytes]);
  }
  const whole = kept.filter(([, bytes]) => bytes.length > 0);
  assert.ok(whole.length > 0);
  for (const [n, bytes] of whole) assert.strictEqual(JSON.parse(bytes).data.n, n);
  pool.append({ long: "x".repeat(5000) });
  assert.strictEqual(JSON.parse(pool.getJson(501)).data.long.length, 5000);
});

test("closing in a callback of the stream itself is safe", async (t) => {
  const { pool } = newPool(t);
  for (let round = 0; round < 20; round++) {
    const tail = pool.tail({ sinceSeq: BigInt(round + 1) });
    const waiting = tail.next().then((step) => {
      tail.close();
      return step;
    });
    await new Promise(setImmediate);
    pool.append({ round });
    assert.strictEqual((await waiting).value.data.round, round);
  }
});

// Workers -----------------------------------------------------------------------------------------

function startWorker(source, folder) {
  const program = `const { parentPort, workerData } = require("node:worker_threads");
    const { Client } = require(${JSON.stringify(index)});
    const pool = new Client(workerData).pool("work");
    ${source}`;
  return new Worker(program, { eval: true, workerData: folder });
}

function ended(worker) {
  return new Promise((resolve, reject) => {
    worker.on("error", reject);
    worker.on("exit", resolve);
  });
}

test("workers append side by side, and each message is there once", async (t) => {
  const { folder, pool } = newPool(t, 8 << 20);
  const workers = [1, 2, 3, 4].map((w) =>
    startWorker(`for (let i = 0; i < 1000; i++) pool.append({ w: ${w}, i });`, folder),
  );
  assert.deepStrictEqual(await Promise.all(workers.map(ended)), [0, 0, 0, 0]);
  const next = { 1: 0, 2: 0, 3: 0, 4: 0 };
  for await (const { data } of pool.tail({ maxMessages: 4000 })) assert.strictEqual(data.i, next[data.w]++);
  assert.deepStrictEqual(next, { 1: 1000, 2: 1000, 3: 1000, 4: 1000 });
});

test("a worker that waits is terminated", async (t) => {
  const { folder, pool } = newPool(t);
  const tails = Array.from({ length: 3 }, () =>
    startWorker(`
      for (let i = 0; i < 5; i++) { pool.tail().next(); pool.tailLite3().next(); pool.followLite3().next(); }
      parentPort.postMessage("waiting");
    `, folder),
  );
  const exits = tails.map(ended);
  await Promise.all(tails.map((worker) => new Promise((resolve) => worker.once("message", resolve))));
  for (const worker of tails) await worker.terminate();
  await Promise.all(exits);
  pool.append({ n: 1 });
  assert.strictEqual(pool.get(1).data.n, 1);
});

test("a worker and its parent hear from each other", async (t) => {
  const { folder, pool } = newPool(t);
  const worker = startWorker(`
    (async () => {
      for await (const { data } of pool.tail({ tags: ["ping"] })) {
        pool.append({ n: data.n }, ["pong"]);
        if (data.n === 50) break;
      }
    })();
  `, folder);
  const exit = ended(worker);
  const pongs = pool.tail({ tags: ["pong"] });
  for (let n = 1; n <= 50; n++) {
    pool.append({ n }, ["ping"]);
    assert.strictEqual((await pongs.next()).value.data.n, n);
  }
  pongs.close();
  assert.strictEqual(await exit, 0);
});

test("a pool whose file is gone is used as before, and not found any more", (t) => {
  const { client, folder, pool } = newPool(t);
  fs.unlinkSync(path.join(folder, "work.plasmite"));
  assert.strictEqual(pool.append({ n: 1 }).seq, 1n);
  assert.throws(() => client.openPool("work"), { kind: ErrorKind.NotFound });
  assert.throws(() => pool.openStream(), { kind: ErrorKind.NotFound });
});

test("many handles at once", (t) => {
  const { folder } = newPool(t);
  const clients = Array.from({ length: 50 }, () => new Client(folder));
  const pools = clients.map((client) => client.openPool("work"));
  pools.forEach((pool, i) => pool.append({ i }));
  assert.deepStrictEqual(pools.map((pool, i) => pool.get(i + 1).data.i), pools.map((_, i) => i));
  pools.forEach((pool) => pool.close());
  clients.forEach((client) => client.close());
});

test("with the guard a file that is cut off is an error, and nothing to other pools", (t) => {
  const { client, folder, pool } = newPool(t, 65536);
  try {
    installGuard();
  } catch (error) {
    if (error.kind !== ErrorKind.Usage) throw error;
    return t.skip(error.message);
  }
  const other = client.pool("other");
  pool.append({ n: 1 });
  fs.truncateSync(path.join(folder, "work.plasmite"), 0);
  assert.throws(() => pool.get(1), { kind: ErrorKind.Corrupt });
  assert.throws(() => pool.append({ n: 2 }), { kind: ErrorKind.Corrupt });
  assert.strictEqual(other.append({ n: 1 }).seq, 1n);
  other.close();
});
