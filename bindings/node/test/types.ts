// Compiled, never run: what users write must have the types that they expect.

import {
  Client,
  DEFAULT_POOL_DIR,
  DEFAULT_POOL_SIZE_BYTES,
  Durability,
  ErrorKind,
  Message,
  PlasmiteNativeError,
  Pool,
  RemoteClient,
  RemoteError,
  RemotePool,
  parseMessage,
  replay,
} from "plasmite";
import type {
  FollowOptions,
  Frames,
  Lite3Frame,
  LocalTailOptions,
  MessageEnvelope,
  MessageMeta,
  Messages,
  PoolInfo,
  RemoteClientOptions,
  RemotePoolInfo,
  RemoteTailOptions,
  ReplayOptions,
} from "plasmite";

interface Reading {
  sensor: string;
  value: number;
}

export async function local(): Promise<void> {
  const client = new Client(DEFAULT_POOL_DIR);
  const pool: Pool = client.pool("work", DEFAULT_POOL_SIZE_BYTES);
  client.createPool("other", 1048576n).close();

  const message = pool.append({ sensor: "temp", value: 1 }, ["sensor"], Durability.Flush);
  const value: number = message.data.value;
  const seq: bigint = message.seq;
  const meta: MessageMeta = message.meta;
  const tags: readonly string[] = message.tags;
  const raw: Buffer = message.raw;
  const bytes: Buffer = pool.appendJson(Buffer.from("{}"), null, Durability.Fast);
  const first: bigint = pool.appendMany([{ n: 1 }, { n: 2 }], ["batch"]);
  void [value, seq, meta, tags, raw, bytes, first];

  const stream = pool.openStream(1n, 1n, 10n, true);
  for (const line of stream) line.toString("utf8");
  stream.close();
  const frame: Lite3Frame | null = pool.openLite3Stream(1, null, 10).next();
  const time: Date | undefined = frame?.time;
  void time;

  const tail: LocalTailOptions = { sinceSeq: 1n, maxMessages: 2, timeoutMs: 10n, tags: "a" };
  for await (const one of pool.tail<Reading>({ ...tail, errorOnGap: true })) {
    const reading: number = one.data.value;
    // @ts-expect-error the data has no such field
    one.data.nothing;
    void reading;
  }
  const again: ReplayOptions = { speed: 2, tags: ["a", "b"] };
  for await (const one of replay(pool, again)) one.time.getTime();
  for await (const one of pool.replay(again)) one.timeRfc3339.slice(0, 4);

  const follow: FollowOptions = { last: 10, where: ".data.value > 1", signal: new AbortController().signal };
  const following: Messages<Reading> = pool.follow<Reading>(follow);
  const step = await following.next();
  if (!step.done) step.value.data.sensor.toUpperCase();
  following.close();
  const frames: Frames = pool.followLite3(follow);
  for await (const one of frames) one.payload.length;
  for await (const one of pool.tailLite3({ sinceSeq: 1n, maxMessages: 1 })) one.time.getTime();
  // @ts-expect-error frames have their tags inside
  pool.tailLite3({ tags: "a" });

  const info: PoolInfo = pool.info();
  const newest: bigint | null = info.newestSeq;
  const healthy: boolean = pool.verify().healthy;
  const names: string[] = client.listPools();
  void [newest, healthy, names];

  // @ts-expect-error a pool comes from a client
  new Pool({});
  // @ts-expect-error seqs are numbers
  pool.get("1");
  pool.close();
  client.close();
}

export function parsed(envelope: MessageEnvelope<Reading>, bytes: Buffer): number {
  const message: Message<Reading> = parseMessage(envelope);
  return parseMessage(message).data.value + parseMessage<Reading>(bytes).data.value;
}

export function failed(error: unknown): string | undefined {
  if (error instanceof PlasmiteNativeError && error.kind === ErrorKind.NotFound) {
    const seq: number | undefined = error.seq;
    return `${error.path} ${seq} ${error.hint}`;
  }
  if (error instanceof RemoteError) {
    const kind: ErrorKind = error.kind;
    return `${error.status} ${kind}`;
  }
  return undefined;
}

export async function remote(options: RemoteClientOptions): Promise<void> {
  const client = new RemoteClient("http://127.0.0.1:9700", options).withToken("secret");
  const info: RemotePoolInfo = await client.createPool("work", 1048576);
  const oldest: number | null | undefined = info.bounds.oldest;
  const pool: RemotePool = await client.openPool("work");
  const message = await pool.append({ n: 1 }, ["a"], Durability.Fast);
  const n: number = message.data.n;
  const tail: RemoteTailOptions = { sinceSeq: 1n, tags: ["a"], errorOnGap: true };
  for await (const one of pool.tail<Reading>(tail)) one.data.sensor.trim();
  void [oldest, n];
}
