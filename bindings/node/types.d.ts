/// <reference types="node" />

/** Where pools are found by their names: ~/.plasmite/pools. */
export const DEFAULT_POOL_DIR: string;
export const DEFAULT_POOL_SIZE: number;
export const DEFAULT_POOL_SIZE_BYTES: number;

/** What an append promises: Fast survives the death of any process, Flush a power loss as well. */
export const enum Durability {
  Fast = 0,
  Flush = 1,
}

export const enum ErrorKind {
  Internal = 1,
  Usage = 2,
  NotFound = 3,
  AlreadyExists = 4,
  Busy = 5,
  Permission = 6,
  Corrupt = 7,
  Io = 8,
  RetentionGap = 9,
}

/** A sequence number, a count or a time: a safe integer, or a bigint of 64 bits. */
export type U64 = number | bigint;

/** JSON objects, as messages have them. */
export type JsonObject = Record<string, any>;

export interface MessageMeta {
  readonly tags: readonly string[];
}

export interface MessageEnvelope<T = any> {
  seq: number | bigint | string;
  time: string | Date;
  meta?: { tags?: readonly string[] };
  data: T;
}

export interface Lite3Frame {
  readonly seq: bigint;
  readonly timestampNs: bigint;
  readonly flags: number;
  readonly payload: Buffer;
  readonly time: Date;
}

export interface LocalTailOptions {
  /** The first message wanted; without it the oldest there is. */
  sinceSeq?: U64 | null;
  maxMessages?: U64 | null;
  /** Length of a window, 1000 where absent; with maxMessages, one without a message ends it. */
  timeoutMs?: U64 | null;
  /** All of them must be among a message's. */
  tags?: string | Iterable<string> | null;
  errorOnGap?: boolean;
  signal?: AbortSignal;
}

export interface ReplayOptions {
  /** 2 is twice as fast as the messages came. */
  speed?: number;
  sinceSeq?: U64 | null;
  maxMessages?: U64 | null;
  timeoutMs?: U64 | null;
  tags?: string | Iterable<string> | null;
  signal?: AbortSignal;
}

/** At most one of sinceSeq, last and sinceTime; without any, what comes after the call. */
export interface FollowOptions {
  sinceSeq?: U64 | null;
  /** The newest so many, then what comes. */
  last?: U64 | null;
  /** A Date, or nanoseconds since 1970. */
  sinceTime?: Date | U64 | null;
  maxMessages?: U64 | null;
  /** Ends when nothing came for so long. */
  idleTimeoutMs?: U64 | null;
  tags?: string | Iterable<string> | null;
  /** jq expressions that must all be true, as --where of the command line. */
  where?: string | Iterable<string> | null;
  errorOnGap?: boolean;
  signal?: AbortSignal;
}

/** What is iterated over while it comes. */
export interface Coming<M> extends AsyncIterableIterator<M> {
  next(): Promise<IteratorResult<M, undefined>>;
  return(value?: any): Promise<IteratorResult<M, any>>;
  throw(error?: any): Promise<IteratorResult<M, any>>;
  [Symbol.asyncIterator](): Coming<M>;
  /** Ends the iteration from anywhere, and releases everything at once. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What tail(), replay() and follow() give. */
export type Messages<T = any> = Coming<Message<T>>;

/** What tailLite3() and followLite3() give. */
export type Frames = Coming<Lite3Frame>;

/** Numbers of a pool's file. Without messages the seqs and times are null. */
export interface PoolInfo {
  path: string;
  fileSize: number;
  ringOffset: number;
  ringSize: number;
  indexCapacity: number;
  usedBytes: number;
  messages: number;
  oldestSeq: bigint | null;
  newestSeq: bigint | null;
  nextSeq: bigint;
  oldestTime: Date | null;
  newestTime: Date | null;
  created: Date | null;
}

export interface PoolReport {
  healthy: boolean;
  messages: number;
  issues: { code: string; message: string; offset?: number; seq?: number }[];
}

export class Client {
  constructor(poolDir?: string);
  createPool(poolRef: string, sizeBytes?: U64): Pool;
  openPool(poolRef: string): Pool;
  /** Opens a pool, and creates it if it is missing. */
  pool(poolRef: string, sizeBytes?: U64): Pool;
  listPools(): string[];
  deletePool(poolRef: string): void;
  close(): void;
  [Symbol.dispose](): void;
}

export class Pool {
  private constructor(inner: any);
  /** A Buffer is taken as JSON text, anything else is written as JSON. */
  appendJson(
    payload: Uint8Array | JsonObject,
    tags?: Iterable<string> | null,
    durability?: Durability | null,
  ): Buffer;
  append<T extends object = any>(
    payload: T | Uint8Array,
    tags?: Iterable<string> | null,
    durability?: Durability | null,
  ): Message<T>;
  /** Appends all of the values at once, at most 4096, or none; gives the seq of the first. */
  appendMany(
    values: Iterable<JsonObject>,
    tags?: Iterable<string> | null,
    durability?: Durability | null,
  ): bigint;
  appendLite3(payload: Uint8Array, durability?: Durability | null): bigint;
  getJson(seq: U64): Buffer;
  get<T = any>(seq: U64): Message<T>;
  getLite3(seq: U64): Lite3Frame;
  openStream(
    sinceSeq?: U64 | null,
    maxMessages?: U64 | null,
    timeoutMs?: U64 | null,
    errorOnGap?: boolean,
  ): Stream;
  openLite3Stream(
    sinceSeq?: U64 | null,
    maxMessages?: U64 | null,
    timeoutMs?: U64 | null,
    errorOnGap?: boolean,
  ): Lite3Stream;
  tail<T = any>(options?: LocalTailOptions): Messages<T>;
  replay<T = any>(options?: ReplayOptions): Messages<T>;
  follow<T = any>(options?: FollowOptions): Messages<T>;
  tailLite3(options?: Omit<LocalTailOptions, "tags">): Frames;
  followLite3(options?: FollowOptions): Frames;
  flush(): void;
  info(): PoolInfo;
  verify(): PoolReport;
  close(): void;
  [Symbol.dispose](): void;
}

/** Reads in order; waiting blocks the thread. null: the stream has ended. */
export class Stream implements Iterable<Buffer> {
  private constructor(inner: any);
  nextJson(): Buffer | null;
  [Symbol.iterator](): Iterator<Buffer>;
  close(): void;
  [Symbol.dispose](): void;
}

export class Lite3Stream implements Iterable<Lite3Frame> {
  private constructor(inner: any);
  next(): Lite3Frame | null;
  [Symbol.iterator](): Iterator<Lite3Frame>;
  close(): void;
  [Symbol.dispose](): void;
}

export class Message<T = any> {
  constructor(envelope: MessageEnvelope<T>, raw?: Buffer);
  readonly seq: bigint;
  readonly time: Date;
  /** With all digits of the second that there are. */
  readonly timeRfc3339: string;
  readonly data: T;
  readonly meta: MessageMeta;
  get tags(): readonly string[];
  get raw(): Buffer;
  toJSON(): { seq: number | string; time: string; data: T; meta: MessageMeta };
}

export class PlasmiteNativeError extends Error {
  constructor(message: string, details?: Partial<PlasmiteNativeError>, cause?: unknown);
  readonly name: "PlasmiteNativeError";
  readonly kind: ErrorKind;
  readonly path?: string;
  readonly seq?: number;
  readonly offset?: number;
  /** What may be done about it. */
  readonly hint?: string;
  /** The message alone, without the other facts. */
  readonly detail?: string;
}

/**
 * Lets the process survive pool files that somebody cuts off while they are open: calls that touch
 * what is gone throw `ErrorKind.Corrupt`, where the process would have ended by SIGBUS. For the
 * whole process, and for good; other faults are handled as before.
 */
export function installGuard(): void;

export function parseMessage<T = any>(
  message: Message<T> | MessageEnvelope<T> | Uint8Array,
): Message<T>;

export function replay<T = any>(pool: Pool, options?: ReplayOptions): Messages<T>;

export interface RemoteClientOptions {
  token?: string | null;
}

export interface RemotePoolInfo {
  name?: string;
  path: string;
  file_size: number;
  index_offset?: number;
  index_capacity?: number;
  index_size_bytes?: number;
  ring_offset: number;
  ring_size: number;
  bounds: { oldest?: number | null; newest?: number | null };
  metrics?: {
    message_count: number;
    seq_span: number;
    utilization: { used_bytes: number; free_bytes: number; used_percent: number };
    age: {
      oldest_time: string | null;
      newest_time: string | null;
      oldest_age_ms: number | null;
      newest_age_ms: number | null;
    };
  };
}

export interface RemoteTailOptions {
  sinceSeq?: U64 | null;
  maxMessages?: U64 | null;
  /** How long the server keeps the stream open. */
  timeoutMs?: U64 | null;
  tags?: string | Iterable<string> | null;
  errorOnGap?: boolean;
  signal?: AbortSignal;
}

export class RemoteClient {
  constructor(baseUrl: string | URL, options?: RemoteClientOptions);
  readonly baseUrl: URL;
  token: string | null;
  withToken(token: string | null): this;
  createPool(name: string, sizeBytes?: U64 | null): Promise<RemotePoolInfo>;
  openPool(name: string): Promise<RemotePool>;
  poolInfo(name: string): Promise<RemotePoolInfo>;
  listPools(): Promise<RemotePoolInfo[]>;
  deletePool(name: string): Promise<void>;
}

export class RemotePool {
  constructor(client: RemoteClient, pool: string);
  readonly client: RemoteClient;
  readonly pool: string;
  poolRef(): string;
  append<T extends object = any>(
    data: T,
    tags?: string | Iterable<string> | null,
    durability?: Durability | "fast" | "flush" | null,
  ): Promise<Message<T>>;
  get<T = any>(seq: U64): Promise<Message<T>>;
  tail<T = any>(options?: RemoteTailOptions): AsyncGenerator<Message<T>, void, undefined>;
}

export class RemoteError extends Error {
  constructor(payload: unknown, status: number);
  readonly name: "RemoteError";
  readonly status: number;
  readonly kind: ErrorKind;
  readonly hint?: string;
  readonly path?: string;
  readonly seq?: number;
  readonly offset?: number;
}
