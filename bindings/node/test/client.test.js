"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const test = require("node:test");

const plasmite = require("../index.js");
const { newClient, newPool, temporaryFolder } = require("./support.js");

const { Client, Durability, ErrorKind, PlasmiteNativeError, Pool } = plasmite;

function fails(kind, facts = {}) {
  return (error) => {
    assert.ok(error instanceof PlasmiteNativeError, String(error));
    assert.strictEqual(error.kind, kind, error.message);
    for (const [name, value] of Object.entries(facts)) {
      if (value instanceof RegExp) assert.match(String(error[name]), value);
      else assert.strictEqual(error[name], value, name);
    }
    return true;
  };
}

test("the module exports these names and no others", () => {
  assert.deepStrictEqual(Object.keys(plasmite).sort(), [
    "Client", "DEFAULT_POOL_DIR", "DEFAULT_POOL_SIZE", "DEFAULT_POOL_SIZE_BYTES", "Durability",
    "ErrorKind", "Lite3Stream", "Message", "PlasmiteNativeError", "Pool", "RemoteClient",
    "RemoteError", "RemotePool", "Stream", "installGuard", "parseMessage", "replay",
  ]);
});

test("constants have the numbers of the library", () => {
  assert.deepStrictEqual({ ...Durability }, { Fast: 0, Flush: 1 });
  assert.deepStrictEqual({ ...ErrorKind }, {
    Internal: 1, Usage: 2, NotFound: 3, AlreadyExists: 4, Busy: 5, Permission: 6, Corrupt: 7,
    Io: 8, RetentionGap: 9,
  });
  assert.ok(Object.isFrozen(Durability) && Object.isFrozen(ErrorKind));
  assert.strictEqual(plasmite.DEFAULT_POOL_DIR, path.join(os.homedir(), ".plasmite", "pools"));
  assert.strictEqual(plasmite.DEFAULT_POOL_SIZE, 1048576);
  assert.strictEqual(plasmite.DEFAULT_POOL_SIZE_BYTES, 1048576);
});

test("a pool is created, opened, and opened or created", (t) => {
  const { client, folder } = newClient(t);
  const created = client.createPool("a");
  assert.ok(created instanceof Pool);
  assert.strictEqual(fs.statSync(path.join(folder, "a.plasmite")).size, 1048576);
  created.append({ n: 1 });
  created.close();

  const opened = client.openPool("a");
  assert.strictEqual(opened.get(1).data.n, 1);
  opened.close();
  const either = client.pool("a", 65536);
  assert.strictEqual(either.get(1n).data.n, 1);
  either.close();
  client.pool("b", 65536n).close();
  assert.strictEqual(fs.statSync(path.join(folder, "b.plasmite")).size, 65536);
});

test("a reference with a slash is a path", (t) => {
  const { client, folder } = newClient(t);
  const file = path.join(folder, "deep", "file.pool");
  client.createPool(file).close();
  assert.ok(fs.existsSync(file));
  assert.throws(() => client.openPool("http://host/pool"), fails(ErrorKind.Usage));
});

test("errors of the library say what they know", (t) => {
  const { client, folder } = newClient(t);
  const file = path.join(folder, "missing.plasmite");
  assert.throws(() => client.openPool("missing"), fails(ErrorKind.NotFound, {
    name: "PlasmiteNativeError",
    message: `plasmite error: kind=NotFound; message=not found; path=${file}`,
    path: file,
    seq: undefined,
    offset: undefined,
    detail: "not found",
  }));
  client.createPool("there").close();
  assert.throws(() => client.createPool("there"), fails(ErrorKind.AlreadyExists, { path: /there/ }));
  fs.writeFileSync(path.join(folder, "bad.plasmite"), "NOPE");
  assert.throws(() => client.openPool("bad"), fails(ErrorKind.Corrupt, { path: /bad/ }));
  const pool = client.openPool("there");
  assert.throws(() => pool.get(999n), fails(ErrorKind.NotFound, {
    message: "plasmite error: kind=NotFound; message=message not found; seq=999",
    path: undefined,
    seq: 999,
  }));
  assert.throws(() => pool.append("text"), fails(ErrorKind.Usage, { detail: "data must be object" }));
  try {
    pool.get(999n);
  } catch (error) {
    assert.ok(error.cause instanceof Error);
    assert.ok(!(error.cause instanceof PlasmiteNativeError));
  }
  pool.close();
});

test("a path with a semicolon survives in an error", (t) => {
  const folder = path.join(temporaryFolder(t), "a; seq=5; b=c");
  const client = new Client(folder);
  assert.throws(() => client.openPool("x"), fails(ErrorKind.NotFound, {
    path: path.join(folder, "x.plasmite"),
    seq: undefined,
  }));
});

test("errors are read from the text where there is nothing else", () => {
  const failing = (message) =>
    new Pool({
      appendJson() {
        throw new Error(message);
      },
    });
  assert.throws(
    () => failing("plasmite error: kind=NoSuchKind; message=odd").append({}),
    fails(ErrorKind.Io),
  );
  assert.throws(
    () => failing("plasmite error: kind=Corrupt; message=bad; path=/p; seq=7; offset=9").append({}),
    fails(ErrorKind.Corrupt, { path: "/p", seq: 7, offset: 9 }),
  );
  assert.throws(() => failing("plasmite error: message=bad").appendJson({}), fails(ErrorKind.Io));
  const other = new RangeError("something else");
  const pool = new Pool({
    appendJson() {
      throw other;
    },
  });
  assert.throws(() => pool.append({}), (error) => error === other);
});

test("a message is appended and read back", (t) => {
  const { pool } = newPool(t);
  const message = pool.append({ task: "resize", id: 1 }, ["one", "two"], Durability.Flush);
  assert.strictEqual(message.seq, 1n);
  assert.deepStrictEqual(message.data, { task: "resize", id: 1 });
  assert.deepStrictEqual([...message.tags], ["one", "two"]);
  assert.ok(message.time instanceof Date);
  assert.ok(Math.abs(message.time - Date.now()) < 60000);

  const stored = pool.get(1);
  assert.strictEqual(stored.timeRfc3339, message.timeRfc3339);
  assert.deepStrictEqual(stored.raw, message.raw);
  assert.deepStrictEqual(pool.getJson(1n), message.raw);
  assert.deepStrictEqual(stored.data, message.data);
});

test("what append gives is what is stored, for any text", (t) => {
  const { pool } = newPool(t);
  const values = [
    {},
    { quote: '"\\/\b\f\n\r\t\u0000\u001f\u007f', umlaut: "\u00fc\u2028\ud83d\ude00" },
    { deep: [[[{ a: null }]]], big: 1e300, small: -0.5, yes: true },
    { date: new Date(0), gone: undefined, "": "" },
  ];
  for (const value of values) {
    const tags = ["]},\"data\":", "\u00fc\n", ""];
    const message = pool.append(value, tags);
    const stored = pool.get(message.seq);
    assert.strictEqual(message.raw.toString(), stored.raw.toString());
    assert.deepStrictEqual(message.data, JSON.parse(JSON.stringify(value)));
    assert.deepStrictEqual(stored.data, message.data);
    assert.deepStrictEqual([...stored.tags], tags);
    assert.deepStrictEqual(JSON.parse(stored.raw), JSON.parse(JSON.stringify(stored)));
  }
});

test("bytes are taken as JSON text, and stored as they are", (t) => {
  const { pool } = newPool(t);
  const text = '{ "b": 1.0, "a": 123456789012345678901234567890 }';
  const bytes = pool.appendJson(Buffer.from(text), ["t"]);
  assert.match(bytes.toString(), /"data":\{"b":1\.0,"a":123456789012345678901234567890\}\}$/);
  const message = pool.append(new Uint8Array(Buffer.from(text)));
  assert.strictEqual(message.seq, 2n);
  assert.strictEqual(message.data.b, 1);
  assert.deepStrictEqual(JSON.parse(pool.appendJson({ n: 3 })).data, { n: 3 });
  assert.throws(() => pool.appendJson(Buffer.from('{"a":')), fails(ErrorKind.Usage));
  assert.throws(() => pool.appendJson(Buffer.alloc(0)), fails(ErrorKind.Usage));
  assert.throws(() => pool.append(undefined), TypeError);
});

test("a long text is appended whole", (t) => {
  const { pool } = newPool(t, 16 << 20);
  for (const length of [4070, 4090, 4096, 70000, 3000000, 10]) {
    const text = "\u00fc".repeat(length);
    assert.strictEqual(pool.append({ text }).data.text.length, length);
    assert.strictEqual(pool.get(pool.info().newestSeq).data.text, text);
  }
});

test("tags and durabilities of the wrong kind are refused", (t) => {
  const { pool } = newPool(t);
  for (const tags of [[1], [null], "text", 7, {}]) {
    assert.throws(() => pool.append({}, tags), TypeError, JSON.stringify(tags));
    assert.throws(() => pool.appendJson({}, tags), TypeError);
  }
  assert.throws(() => pool.append({}, ["a\0b"]), TypeError);
  assert.throws(() => pool.append({}, [], 2), fails(ErrorKind.Usage, { detail: "invalid durability" }));
  assert.throws(() => pool.append({}, [], "flush"), /durability must be/);
  assert.throws(() => pool.append({}, [], -1), /durability must be/);
  pool.append({}, null, null);
  pool.append({}, new Set(["x", "y"]));
  assert.deepStrictEqual([...pool.get(2).tags], ["x", "y"]);
  assert.strictEqual(pool.info().messages, 2);
});

test("numbers are exact or refused", (t) => {
  const { pool } = newPool(t);
  for (const seq of [2 ** 32 + 1, 2n ** 32n + 1n, Number.MAX_SAFE_INTEGER, 2n ** 64n - 1n]) {
    const text = `kind=NotFound; message=message not found; seq=${seq}`;
    assert.throws(() => pool.getJson(seq), (error) => error.message.endsWith(text));
  }
  for (const seq of [-1, -1n, -(2n ** 70n)]) assert.throws(() => pool.get(seq), /seq must be non-negative/);
  for (const seq of [1.5, NaN, Infinity, 2 ** 53]) assert.throws(() => pool.get(seq), /seq must be a safe integer/);
  assert.throws(() => pool.get(2n ** 64n), /seq must be a bigint of 64 bits/);
  for (const seq of ["1", null, undefined, {}, [], true]) assert.throws(() => pool.get(seq), TypeError);
  assert.throws(() => pool.openStream(-1n), /sinceSeq must be non-negative/);
  assert.throws(() => pool.openStream(1, "x"), /maxMessages must be a number or bigint/);
  assert.throws(() => pool.openStream(1, 1, -5), /timeoutMs must be non-negative/);
  assert.throws(() => pool.openStream(1, 1, 1, "yes"), /errorOnGap must be a boolean/);
});

test("a stream gives bytes until its count or its time is over", (t) => {
  const { pool } = newPool(t);
  for (let n = 1; n <= 5; n++) pool.append({ n });
  const read = (stream) => [...stream].map((line) => JSON.parse(line).seq);
  assert.deepStrictEqual(read(pool.openStream(2n, 3n)), [2, 3, 4]);
  assert.deepStrictEqual(read(pool.openStream(null, 2)), [1, 2]);
  assert.deepStrictEqual(read(pool.openStream(undefined, undefined, 50)), [1, 2, 3, 4, 5]);
  const stream = pool.openStream(9999, 1, 10);
  assert.strictEqual(stream.nextJson(), null);
  assert.strictEqual(stream.nextJson(), null);
  stream.close();
  stream.close();
  assert.throws(() => stream.nextJson(), fails(ErrorKind.Usage, { detail: "stream is null" }));
});

test("closing is idempotent, and what is closed says so", (t) => {
  const { client } = newClient(t);
  const pool = client.pool("a");
  const stream = pool.openStream(1n, 1n);
  client.close();
  client.close();
  assert.throws(() => client.openPool("a"), fails(ErrorKind.Usage, {
    message: "plasmite error: kind=Usage; message=client is null",
  }));
  pool.append({ n: 1 });
  pool.close();
  pool.close();
  assert.throws(() => pool.append({}), fails(ErrorKind.Usage, { detail: "pool is null" }));
  assert.throws(() => pool.get(1), fails(ErrorKind.Usage));
  assert.throws(() => pool.openStream(), fails(ErrorKind.Usage));
  assert.strictEqual(JSON.parse(stream.nextJson()).seq, 1, "a stream lives on without its pool");
  stream.close();
});

test("handles close at the end of a block", { skip: Symbol.dispose === undefined }, (t) => {
  const { client } = newClient(t);
  const pool = client.pool("a");
  const stream = pool.openStream(1n, 1n, 10n);
  for (const handle of [stream, pool, client]) handle[Symbol.dispose]();
  assert.throws(() => pool.get(1), fails(ErrorKind.Usage));
  assert.throws(() => client.openPool("a"), fails(ErrorKind.Usage));
});

test("arguments of the wrong kind are type errors", (t) => {
  const { client } = newClient(t);
  for (const ref of [undefined, null, 1, {}, Symbol("x")]) {
    assert.throws(() => client.openPool(ref), TypeError);
    assert.throws(() => client.createPool(ref), TypeError);
  }
  assert.throws(() => client.openPool("a\0b"), TypeError);
  assert.throws(() => client.createPool("a", "big"), TypeError);
  assert.throws(() => client.createPool("a", -1), /sizeBytes must be non-negative/);
  for (const folder of [1, null, {}]) assert.throws(() => new Client(folder), TypeError);
});

test("many values are appended at once, or none", (t) => {
  const { pool } = newPool(t);
  pool.append({ n: 0 });
  assert.strictEqual(pool.appendMany([{ n: 1 }, { n: 2 }, { n: 3 }], ["batch"], Durability.Flush), 2n);
  assert.deepStrictEqual([2, 3, 4].map((seq) => pool.get(seq).data.n), [1, 2, 3]);
  assert.deepStrictEqual([...pool.get(4).tags], ["batch"]);
  assert.throws(() => pool.appendMany([{ n: 4 }, "text"]), fails(ErrorKind.Usage, { detail: /inputs\[1\]/ }));
  assert.throws(() => pool.appendMany([]), fails(ErrorKind.Usage));
  assert.strictEqual(pool.appendMany([Buffer.from('{\n"n": 4\n}')]), 5n);
  assert.deepStrictEqual(pool.get(5).data, { n: 4 });
  assert.throws(() => pool.appendMany(Array(4097).fill({})), fails(ErrorKind.Usage));
  assert.throws(() => pool.appendMany([undefined]), TypeError);
  assert.strictEqual(pool.append({ n: 5 }).seq, 6n);
});

test("pools are listed and deleted, and tell about themselves", (t) => {
  const { client, folder } = newClient(t);
  assert.deepStrictEqual(client.listPools(), []);
  client.pool("b").close();
  const pool = client.pool("a", 65536);
  assert.deepStrictEqual(client.listPools(), ["a", "b"]);
  client.deletePool("b");
  assert.deepStrictEqual(client.listPools(), ["a"]);
  assert.throws(() => client.deletePool("b"), fails(ErrorKind.NotFound));

  const empty = pool.info();
  assert.strictEqual(empty.path, path.join(folder, "a.plasmite"));
  assert.strictEqual(empty.fileSize, 65536);
  assert.strictEqual(empty.messages, 0);
  assert.strictEqual(empty.oldestSeq, null);
  assert.strictEqual(empty.nextSeq, 1n);
  pool.append({ n: 1 });
  pool.append({ n: 2 });
  pool.flush();
  const info = pool.info();
  assert.deepStrictEqual([info.messages, info.oldestSeq, info.newestSeq], [2, 1n, 2n]);
  assert.strictEqual(info.newestTime.getTime(), pool.get(2).time.getTime());
  const report = pool.verify();
  assert.strictEqual(report.healthy, true);
  assert.strictEqual(report.messages, 2);
  pool.close();
});

test("Lite3 payloads go in and out byte for byte", (t) => {
  const { pool } = newPool(t);
  pool.append({ b: true, n: null }, ["alpha"]);
  const frame = pool.getLite3(1n);
  assert.strictEqual(frame.seq, 1n);
  assert.strictEqual(frame.flags, 0);
  assert.strictEqual(frame.time.getTime(), pool.get(1).time.getTime());
  assert.ok(Object.keys(frame).includes("time"));
  assert.strictEqual(typeof frame.timestampNs, "bigint");
  assert.strictEqual(pool.appendLite3(frame.payload, Durability.Fast), 2n);
  assert.deepStrictEqual(pool.getLite3(2).payload, frame.payload);
  assert.deepStrictEqual(pool.get(2).data, { b: true, n: null });
  assert.deepStrictEqual([...pool.get(2).tags], ["alpha"]);
  assert.throws(() => pool.appendLite3(Buffer.from([1])), fails(ErrorKind.Corrupt));
  assert.throws(() => pool.appendLite3("text"), /payload must be a Buffer/);
  const stream = pool.openLite3Stream(1n, 2n, 1000);
  assert.deepStrictEqual([...stream].map((one) => one.seq), [1n, 2n]);
  assert.strictEqual(stream.next(), null);
  stream.close();
  stream.close();
  assert.throws(() => stream.next(), fails(ErrorKind.Usage));
});
