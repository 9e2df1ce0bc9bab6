"use strict";

const assert = require("node:assert");
const http = require("node:http");
const { once } = require("node:events");
const test = require("node:test");

const { Durability, ErrorKind, Message, RemoteClient, RemoteError, RemotePool } = require("../index.js");
const { collect } = require("./support.js");

const realFetch = globalThis.fetch;
const TIME = "2026-01-02T03:04:05.6Z";

function envelope(seq, data = { n: seq }, tags = []) {
  return { seq, time: TIME, meta: { tags }, data };
}

/** Replaces fetch for a test: `answer` gets each request; returns what was asked. */
function fakeFetch(t, answer) {
  const requests = [];
  const real = globalThis.fetch;
  t.after(() => {
    globalThis.fetch = real;
  });
  globalThis.fetch = async (url, options) => {
    const request = { url: String(url), ...options };
    requests.push(request);
    const { status = 200, body } = answer(request);
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status });
  };
  return requests;
}

/** A server for a test; `handle` gets request and response. */
async function serve(t, handle) {
  const server = http.createServer(handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections?.();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

test("a base URL is scheme, host and port", () => {
  const client = new RemoteClient("http://127.0.0.1:9700", { token: "secret" });
  assert.ok(client.baseUrl instanceof URL);
  assert.strictEqual(client.baseUrl.href, "http://127.0.0.1:9700/");
  assert.strictEqual(client.token, "secret");
  assert.strictEqual(client.withToken("other"), client);
  assert.strictEqual(client.token, "other");
  assert.strictEqual(new RemoteClient("https://host/").token, null);
  for (const url of ["ftp://host", "file:///x"]) {
    assert.throws(() => new RemoteClient(url), /remote base URL must use http or https/);
  }
  for (const url of ["http://host/v0", "http://host/?x=1"]) {
    assert.throws(() => new RemoteClient(url), /remote base URL must not include a path/);
  }
  assert.throws(() => new RemoteClient("nonsense"), TypeError);
});

test("each method sends its request", async (t) => {
  const info = { name: "a b/c", file_size: 1 };
  const requests = fakeFetch(t, ({ url, method }) => {
    if (url.includes("messages") || url.includes("append")) return { body: { message: envelope(3) } };
    return { body: url.endsWith("/v0/pools") && method === "GET" ? { pools: [info] } : { pool: info, ok: true } };
  });
  const client = new RemoteClient("http://127.0.0.1:9700", { token: "secret" });
  assert.deepStrictEqual(await client.createPool("a b/c", 65536n), info);
  const pool = await client.openPool("a b/c");
  assert.ok(pool instanceof RemotePool);
  assert.strictEqual(pool.poolRef(), "a b/c");
  assert.strictEqual(pool.client, client);
  assert.strictEqual(pool.pool, "a b/c");
  assert.deepStrictEqual(await client.poolInfo("a b/c"), info);
  assert.deepStrictEqual(await client.listPools(), [info]);
  assert.strictEqual(await client.deletePool("a b/c"), undefined);
  const message = await pool.append({ n: 3 }, ["t"], Durability.Flush);
  assert.ok(message instanceof Message);
  assert.strictEqual(message.seq, 3n);
  await pool.get(2n ** 60n);
  await pool.append({ n: 3 });

  const base = "http://127.0.0.1:9700/v0/pools";
  assert.deepStrictEqual(
    requests.map(({ method, url, body }) => [method, url.replace(base, ""), body && JSON.parse(body)]),
    [
      ["POST", "", { pool: "a b/c", size_bytes: 65536 }],
      ["POST", "/open", { pool: "a b/c" }],
      ["GET", "/a%20b%2Fc/info", undefined],
      ["GET", "", undefined],
      ["DELETE", "/a%20b%2Fc", undefined],
      ["POST", "/a%20b%2Fc/append", { data: { n: 3 }, tags: ["t"], durability: "flush" }],
      ["GET", "/a%20b%2Fc/messages/1152921504606846976", undefined],
      ["POST", "/a%20b%2Fc/append", { data: { n: 3 }, tags: [], durability: "fast" }],
    ],
  );
  for (const { headers, body } of requests) {
    assert.strictEqual(headers.Accept, "application/json");
    assert.strictEqual(headers.Authorization, "Bearer secret");
    assert.strictEqual(headers["Content-Type"], body === undefined ? undefined : "application/json");
  }
});

test("without a token there is no authorization", async (t) => {
  const requests = fakeFetch(t, () => ({ body: { pools: [] } }));
  await new RemoteClient("http://host").listPools();
  assert.deepStrictEqual(Object.keys(requests[0].headers), ["Accept"]);
});

/** A fetch of the user's own, whose responses have what the Fetch standard has and little else. */
function plainFetch(t, response) {
  t.after(() => {
    globalThis.fetch = realFetch;
  });
  globalThis.fetch = async () => ({ ok: response.status < 300, ...response });
}

test("a deletion may be answered by nothing", async (t) => {
  plainFetch(t, { status: 204, json: async () => JSON.parse("") });
  assert.strictEqual(await new RemoteClient("http://host").deletePool("a"), undefined);
});

test("a fetch of another make will do", async (t) => {
  const client = new RemoteClient("http://host");
  plainFetch(t, { status: 200, json: async () => ({ pools: ["a"] }) });
  assert.deepStrictEqual(await client.listPools(), ["a"]);
  plainFetch(t, { status: 404, json: async () => ({ error: { kind: "NotFound", message: "gone" } }) });
  await assert.rejects(client.listPools(), { kind: ErrorKind.NotFound, message: "gone", status: 404 });

  const lines = [`${JSON.stringify(envelope(1))}\n{"error":`, '{"kind":"Io","message":"broken"}}\n'];
  plainFetch(t, { status: 200, body: ReadableStream.from?.(lines) ?? lines });
  const tail = new RemotePool(client, "a").tail();
  assert.strictEqual((await tail.next()).value.seq, 1n);
  await assert.rejects(tail.next(), { kind: ErrorKind.Io, message: "broken", status: 200 });
});

test("a name that a URL cannot carry is refused", async (t) => {
  const requests = fakeFetch(t, () => ({ body: { pool: {} } }));
  const client = new RemoteClient("http://host");
  for (const name of [".", "..", "", null, 5]) {
    await assert.rejects(client.poolInfo(name), TypeError);
    await assert.rejects(new RemotePool(client, name).get(1), TypeError);
  }
  assert.strictEqual(requests.length, 0);
});

test("durabilities are checked before anything is sent", async (t) => {
  const requests = fakeFetch(t, () => ({ body: { message: envelope(1) } }));
  const pool = new RemotePool(new RemoteClient("http://host"), "p");
  for (const durability of ["slow", 2, true, {}, NaN]) {
    await assert.rejects(pool.append({}, [], durability), {
      name: "TypeError",
      message: "durability must be Durability.Fast or Durability.Flush",
    });
  }
  assert.strictEqual(requests.length, 0);
  const good = [[0, "fast"], [1, "flush"], ["FAST", "fast"], ["Flush", "flush"], [null, "fast"], [undefined, "fast"]];
  for (const [durability, sent] of good) {
    await pool.append({}, [], durability);
    assert.strictEqual(JSON.parse(requests.at(-1).body).durability, sent);
  }
});

test("errors of the server say what they know", async (t) => {
  let answer;
  fakeFetch(t, () => answer);
  const client = new RemoteClient("http://host");
  const refused = async (response, expected) => {
    answer = response;
    await assert.rejects(client.listPools(), (error) => {
      assert.ok(error instanceof RemoteError);
      for (const [name, value] of Object.entries(expected)) assert.strictEqual(error[name], value, name);
      return true;
    });
  };
  const facts = { kind: "NotFound", message: "message not found", seq: 9, hint: "look", path: "/p", offset: 4 };
  await refused({ status: 404, body: { error: facts } }, {
    ...facts, name: "RemoteError", status: 404, kind: ErrorKind.NotFound,
  });
  await refused({ status: 410, body: { kind: "RetentionGap", message: "gone" } }, {
    kind: ErrorKind.RetentionGap, message: "gone", seq: undefined,
  });
  await refused({ status: 500, body: { error: { kind: "NoSuchKind" } } }, {
    kind: ErrorKind.Io, message: "Remote error 500", status: 500,
  });
  await refused({ status: 502, body: "<html>" }, { kind: ErrorKind.Io, message: "Remote error 502" });
  await refused({ status: 200, body: "<html>" }, { kind: ErrorKind.Internal, status: 200 });
  const plain = new RemoteError({ error: { kind: "Busy", message: "later" } }, 423);
  assert.deepStrictEqual([plain.kind, plain.message, plain.status], [ErrorKind.Busy, "later", 423]);
});

test("a tail asks for what it is told, and skips blank lines", async (t) => {
  const lines = [envelope(1), envelope(2, { text: "\u00fc" }, ["a"])].map((line) => JSON.stringify(line));
  const requests = fakeFetch(t, () => ({ body: `\n${lines[0]}\n\n  \n${lines[1]}` }));
  const pool = new RemotePool(new RemoteClient("http://host"), "p q");
  const messages = await collect(
    pool.tail({ sinceSeq: 1n, maxMessages: 2, timeoutMs: 500, tags: ["a", "b&c"], errorOnGap: true }),
  );
  assert.deepStrictEqual(messages.map((message) => message.seq), [1n, 2n]);
  assert.deepStrictEqual(messages[1].data, { text: "\u00fc" });
  assert.strictEqual(messages[1].raw.toString(), lines[1]);
  const url = new URL(requests[0].url);
  assert.strictEqual(url.pathname, "/v0/pools/p%20q/tail");
  assert.deepStrictEqual([...url.searchParams], [
    ["since_seq", "1"], ["max", "2"], ["timeout_ms", "500"], ["gap_policy", "error"], ["tag", "a"], ["tag", "b&c"],
  ]);
  await collect(pool.tail({ tags: "one", errorOnGap: false }));
  await collect(pool.tail());
  assert.deepStrictEqual(requests.slice(1).map(({ url: asked }) => new URL(asked).search), ["?tag=one", ""]);
});

test("an error line ends a tail", async (t) => {
  const error = { kind: "RetentionGap", message: "messages 1-5 are no longer retained", seq: 1 };
  fakeFetch(t, () => ({ body: `${JSON.stringify(envelope(7))}\n${JSON.stringify({ error })}\n` }));
  const tail = new RemotePool(new RemoteClient("http://host"), "p").tail();
  assert.strictEqual((await tail.next()).value.seq, 7n);
  await assert.rejects(tail.next(), {
    name: "RemoteError", kind: ErrorKind.RetentionGap, seq: 1, status: 200, message: error.message,
  });
  assert.strictEqual((await tail.next()).done, true);
});

test("messages arrive while the response goes on, whatever its chunks are", async (t) => {
  let response;
  const base = await serve(t, (request, answer) => {
    response = answer;
    answer.writeHead(200, { "content-type": "application/jsonl" });
    answer.flushHeaders();
  });
  const tail = new RemotePool(new RemoteClient(base), "p").tail();
  const first = tail.next();
  while (response === undefined) await new Promise(setImmediate);
  const bytes = Buffer.from(`${JSON.stringify(envelope(1, { text: "\u00fc\ud83d\ude00" }))}\n`);
  for (const byte of bytes) response.write(Buffer.from([byte]));
  assert.strictEqual((await first).value.data.text, "\u00fc\ud83d\ude00");
  const second = tail.next();
  response.write(`${JSON.stringify(envelope(2))}\n${JSON.stringify(envelope(3))}\n`);
  assert.strictEqual((await second).value.seq, 2n);
  assert.strictEqual((await tail.next()).value.seq, 3n);
  response.end();
  assert.strictEqual((await tail.next()).done, true);
});

test("leaving the loop ends the request", async (t) => {
  let closed;
  const base = await serve(t, (request, response) => {
    closed = once(response, "close");
    response.write(`${JSON.stringify(envelope(1))}\n`);
  });
  for await (const message of new RemotePool(new RemoteClient(base), "p").tail()) {
    assert.strictEqual(message.seq, 1n);
    break;
  }
  await closed;
});

test("a signal ends a tail that waits", async (t) => {
  let closed;
  const base = await serve(t, (request, response) => {
    closed = once(response, "close");
    response.flushHeaders();
  });
  const control = new AbortController();
  const waiting = new RemotePool(new RemoteClient(base), "p").tail({ signal: control.signal }).next();
  while (closed === undefined) await new Promise(setImmediate);
  control.abort(new Error("enough"));
  await assert.rejects(waiting);
  await closed;
});
