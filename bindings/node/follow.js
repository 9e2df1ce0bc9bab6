"use strict";

// What tail(), replay() and follow() iterate over. None of them blocks the event loop: what is
// there is taken in batches, and for what is not there yet libuv polls the stream's descriptor.

const { END, Iterator, NOTHING } = require("./iterate.js");
const { isNothing, maxMessagesOf, optionalU64, tagList, windowOf } = require("./mappings.js");
const { lineMessage, withTime } = require("./message.js");
const { native, need, wrapError } = require("./native.js");

// A batch is to be about this long: enough to make its cost small, little enough to hold on to.
const BATCH_BYTES = 128 * 1024;
const BATCH_MESSAGES_MAX = 1024;

// After so long without a wait the event loop gets a turn, however much there is to read.
const TURN_MS = 4;

// Without a descriptor (a library that has none) the pool is looked at every few milliseconds.
const POLL_MIN_MS = 1;
const POLL_MAX_MS = 20;

// A stream of such a library waits no longer than this.
const GLANCE_MS = 1;

const TIMER_MAX_MS = 2147483647;

const LINE_END = 0x0a;

/** A timer that is there once at most. */
class Timer {
  #timer;

  start(ms, callback) {
    this.stop();
    this.#timer = setTimeout(callback, Math.min(Math.max(ms, 0), TIMER_MAX_MS));
  }

  stop() {
    clearTimeout(this.#timer);
  }
}

/** Lets the event loop have a turn now and then while there is always more to read. */
class Turn {
  #began = 0;
  #immediate = null;

  get isOver() {
    const now = performance.now();
    if (this.#began === 0) this.#began = now;
    return now - this.#began > TURN_MS;
  }

  end(wake) {
    this.#began = 0;
    this.#immediate = setImmediate(wake);
  }

  renew() {
    this.#began = 0;
  }

  stop() {
    clearImmediate(this.#immediate);
  }
}

/** Calls wake() once: when the source has something, or at a time of performance.now(). */
function waitUntil(source, timer, deadline, wake) {
  if (deadline === Infinity) {
    source.wait(wake);
    return;
  }
  source.wait(() => {
    timer.stop();
    wake();
  });
  timer.start(Math.ceil(deadline - performance.now()), () => {
    source.rest();
    wake();
  });
}

/** Takes messages out of a stream, as many at once as are good. */
class LineReader {
  #lines = null;
  #at = 0;
  #batch;
  #fixed;

  /** `one`: a message at a time, where a gap is to be an error as soon as there is one. */
  constructor(one) {
    this.#fixed = one;
    this.#batch = one ? 1 : 16;
  }

  /** Whether take() has a message without asking the stream. */
  get hasMore() {
    return this.#lines !== null;
  }

  /** A message; undefined: none yet; null: the stream has ended. */
  take(stream) {
    if (this.#lines === null) {
      const taken = stream.take(this.#batch);
      if (taken === undefined || taken === null) return taken;
      this.#lines = taken;
      this.#at = 0;
    }
    const lines = this.#lines;
    const start = this.#at;
    const end = lines.indexOf(LINE_END, start);
    this.#at = end + 1;
    if (this.#at === lines.length) {
      this.#lines = null;
      if (!this.#fixed) this.#adapt(lines.length, end - start + 1);
    }
    return lineMessage(lines, start, end);
  }

  /** Batches grow while they are short in bytes. */
  #adapt(batchBytes, lineBytes) {
    const messages = Math.floor(BATCH_BYTES / Math.max(lineBytes, 1));
    const next = batchBytes < BATCH_BYTES ? this.#batch * 2 : messages;
    this.#batch = Math.max(1, Math.min(next, messages, BATCH_MESSAGES_MAX));
  }
}

/** The same for frames, which come one by one. */
class FrameReader {
  hasMore = false;

  take(stream) {
    const frame = stream.take();
    return frame === undefined || frame === null ? frame : withTime(frame);
  }
}

/** Messages of a stream that has a descriptor. */
class StreamSource {
  #stream;
  #reader;
  #turn = new Turn();
  #yields = false;

  constructor(stream, reader) {
    this.#stream = stream;
    this.#reader = reader;
  }

  pull() {
    if (this.#stream === null) return END;
    if (!this.#reader.hasMore) {
      this.#yields = this.#turn.isOver;
      if (this.#yields) return NOTHING;
    }
    const message = this.#take();
    if (message === undefined) return NOTHING;
    return message ?? END;
  }

  /** Whether the last pull() gave nothing only for the event loop to have its turn. */
  get yields() {
    return this.#yields;
  }

  wait(wake) {
    if (this.#yields) {
      this.#turn.end(wake);
    } else {
      this.#turn.renew();
      native(() => this.#stream.watch(wake));
    }
  }

  /** No wake() any more, before the next wait(). */
  rest() {
    this.#turn.stop();
    this.#stream?.unwatch();
  }

  close() {
    this.#turn.stop();
    this.#stream?.close();
    this.#stream = null;
  }

  #take() {
    try {
      return this.#reader.take(this.#stream);
    } catch (error) {
      throw wrapError(error);
    }
  }
}

/** Messages of a library without descriptors: short streams, one after the other. */
class PollSource {
  #open; // (sinceSeq) => a stream that ends within a millisecond or so
  #next; // (stream) => its next message, or null
  #since;
  #stream = null;
  #pause = POLL_MIN_MS;
  #timer = new Timer();
  #turn = new Turn();
  #yields = false;
  #closed = false;

  constructor(open, next, since) {
    this.#open = open;
    this.#next = next;
    this.#since = since;
  }

  pull() {
    if (this.#closed) return END;
    this.#yields = this.#turn.isOver;
    if (this.#yields) return NOTHING;
    this.#stream ??= this.#open(this.#since);
    const message = native(() => this.#next(this.#stream));
    if (message === null) {
      this.#closeStream();
      return NOTHING;
    }
    this.#since = message.seq + 1n;
    this.#pause = POLL_MIN_MS;
    return message;
  }

  get yields() {
    return this.#yields;
  }

  wait(wake) {
    if (this.#yields) {
      this.#turn.end(wake);
      return;
    }
    this.#turn.renew();
    this.#timer.start(this.#pause, wake);
    this.#pause = Math.min(this.#pause * 2, POLL_MAX_MS);
  }

  rest() {
    this.#timer.stop();
    this.#turn.stop();
  }

  close() {
    this.#closed = true;
    this.rest();
    this.#closeStream();
  }

  #closeStream() {
    this.#stream?.close();
    this.#stream = null;
  }
}

function hasTags(message, required) {
  if (required.length === 0) return true; // and the message need not be looked into
  const { tags } = message;
  return required.every((tag) => tags.includes(tag));
}

/**
 * tail(): messages with certain tags, up to a number of them. Time goes by in windows; with a
 * limit, one in which nothing at all came ends it.
 */
class TailSource {
  #source;
  #tags;
  #left;
  #windowMs;
  #windowEnd;
  #quiet = true;
  #timer = new Timer();

  constructor(source, { tags, maxMessages, windowMs }) {
    this.#source = source;
    this.#tags = tags;
    this.#left = maxMessages;
    this.#windowMs = windowMs;
    this.#windowEnd = performance.now() + windowMs;
  }

  pull() {
    while (this.#left > 0) {
      const message = this.#source.pull();
      if (message === END) return END;
      if (message === NOTHING) {
        return !this.#source.yields && this.#windowIsOver() ? END : NOTHING;
      }
      this.#quiet = false;
      if (hasTags(message, this.#tags)) {
        this.#left -= 1;
        return message;
      }
    }
    return END;
  }

  wait(wake) {
    waitUntil(this.#source, this.#timer, this.#left === Infinity ? Infinity : this.#windowEnd, wake);
  }

  close() {
    this.#timer.stop();
    this.#source.close();
  }

  #windowIsOver() {
    const now = performance.now();
    if (this.#left === Infinity || now < this.#windowEnd) return false;
    if (this.#quiet) return true;
    this.#quiet = true;
    this.#windowEnd = now + this.#windowMs;
    return false;
  }
}

/** replay(): what one window brings, then given out at its own pace or a multiple of it. */
class ReplaySource {
  #source;
  #speed;
  #tags;
  #left;
  #windowEnd;
  #lastTimeMs; // the same moment as messages have it
  #collected = [];
  #next = -1; // while collecting
  #began = 0;
  #timer = new Timer();

  constructor(source, { speed, tags, maxMessages, windowMs }) {
    this.#source = source;
    this.#speed = speed;
    this.#tags = tags;
    this.#left = maxMessages;
    this.#windowEnd = performance.now() + windowMs;
    this.#lastTimeMs = Date.now() + windowMs;
  }

  pull() {
    if (this.#next < 0 && !this.#collect()) return NOTHING;
    if (this.#next === this.#collected.length) return END;
    if (performance.now() < this.#due()) return NOTHING;
    return this.#collected[this.#next++];
  }

  wait(wake) {
    if (this.#next >= 0) {
      this.#timer.start(Math.ceil(this.#due() - performance.now()), wake);
      return;
    }
    waitUntil(this.#source, this.#timer, this.#windowEnd, wake);
  }

  close() {
    this.#timer.stop();
    this.#source.close();
    this.#collected = [];
    this.#next = 0;
  }

  /**
   * True once the window is over, or all that was wanted is there. What was appended before the
   * end of the window belongs to it, however long reading it takes.
   */
  #collect() {
    while (this.#left > 0) {
      const message = this.#source.pull();
      const isOver = performance.now() >= this.#windowEnd;
      if (message === NOTHING && (!isOver || this.#source.yields)) return false;
      if (message === NOTHING || message === END) break;
      if (isOver && message.time.getTime() > this.#lastTimeMs) break;
      if (hasTags(message, this.#tags)) {
        this.#left -= 1;
        this.#collected.push(message);
      }
    }
    this.#source.close();
    this.#next = 0;
    this.#began = performance.now();
    return true;
  }

  /** When the next message is to be given out. */
  #due() {
    const first = this.#collected[0].time;
    return this.#began + (this.#collected[this.#next].time - first) / this.#speed;
  }
}

/** follow(): ends when nothing came for so long. */
class IdleSource {
  #source;
  #idleMs;
  #end;
  #timer = new Timer();

  constructor(source, idleMs) {
    this.#source = source;
    this.#idleMs = idleMs;
    this.#end = performance.now() + idleMs;
  }

  pull() {
    const message = this.#source.pull();
    if (message === NOTHING) {
      return !this.#source.yields && performance.now() >= this.#end ? END : NOTHING;
    }
    this.#end = performance.now() + this.#idleMs;
    return message;
  }

  wait(wake) {
    waitUntil(this.#source, this.#timer, this.#end, wake);
  }

  close() {
    this.#timer.stop();
    this.#source.close();
  }
}

// What the methods of a pool give -----------------------------------------------------------------

/** How messages of a form are opened and read. */
const JSON_FORM = {
  what: "follow()",
  open: (pool, ...args) => native(() => pool.openStream(...args)),
  reader: (errorOnGap) => new LineReader(errorOnGap),
  next(stream) {
    const bytes = stream.nextJson();
    return bytes === null ? null : lineMessage(bytes);
  },
};

const LITE3_FORM = {
  what: "followLite3()",
  open(pool, ...args) {
    need(pool, "openLite3Stream", "openLite3Stream()");
    return native(() => pool.openLite3Stream(...args));
  },
  reader: () => new FrameReader(),
  next(stream) {
    const frame = stream.next();
    return frame === null ? null : withTime(frame);
  },
};

/** Everything from a seq on, or from the oldest message. */
function streamSource(form, pool, sinceSeq, errorOnGap) {
  const since = optionalU64(sinceSeq, "sinceSeq");
  const stream = form.open(pool, since, undefined, undefined, errorOnGap);
  if (typeof stream.take === "function") return new StreamSource(stream, form.reader(errorOnGap));
  stream.close();
  const open = (next) => form.open(pool, next, undefined, GLANCE_MS, errorOnGap);
  return new PollSource(open, form.next, since);
}

function tailSettings({ maxMessages, timeoutMs, tags }) {
  return {
    maxMessages: maxMessagesOf(maxMessages),
    windowMs: windowOf(timeoutMs),
    tags: tagList(tags),
  };
}

function tailOf(form, pool, options) {
  const { sinceSeq, errorOnGap = false, signal } = options ?? {};
  const open = () => {
    const settings = tailSettings(options ?? {});
    // frames have their tags inside: only the library can select by them
    if (form === LITE3_FORM && settings.tags.length > 0) throw new TypeError("tags are for followLite3()");
    return new TailSource(streamSource(form, pool, sinceSeq, errorOnGap), settings);
  };
  return new Iterator(open, signal);
}

function tail(pool, options) {
  return tailOf(JSON_FORM, pool, options);
}

function tailLite3(pool, options) {
  return tailOf(LITE3_FORM, pool, options);
}

function replay(pool, options) {
  const { speed = 1, sinceSeq, signal } = options ?? {};
  const open = () => {
    if (typeof speed !== "number" || !(speed > 0)) throw new Error("speed must be positive");
    const settings = { speed, ...tailSettings(options ?? {}) };
    return new ReplaySource(streamSource(JSON_FORM, pool, sinceSeq, false), settings);
  };
  return new Iterator(open, signal);
}

/** Nanoseconds since 1970, of a Date or of such a number. */
function timeNs(time) {
  if (!(time instanceof Date)) return optionalU64(time, "sinceTime");
  if (Number.isNaN(time.getTime())) throw new TypeError("sinceTime must be a valid date");
  return BigInt(time.getTime()) * 1000000n;
}

/** Where a follow starts: at one of three places, else at the live end. */
function seek(stream, { sinceSeq, last, sinceTime }) {
  const starts = [sinceSeq, last, sinceTime].filter((start) => !isNothing(start));
  if (starts.length > 1) {
    throw new TypeError("sinceSeq, last and sinceTime exclude each other");
  }
  if (!isNothing(sinceTime)) stream.seekTime(timeNs(sinceTime));
  else if (isNothing(sinceSeq)) stream.seekLast(last ?? 0);
}

function filter(stream, { tags, where }) {
  const required = tagList(tags);
  if (required.length > 0) stream.requireTags(required);
  const expressions = isNothing(where) ? [] : typeof where === "string" ? [where] : where;
  for (const expression of expressions) stream.filter(expression);
}

function followOf(form, pool, options) {
  const { sinceSeq, maxMessages, idleTimeoutMs, errorOnGap = false, signal } = options ?? {};
  const max = isNothing(maxMessages) ? undefined : maxMessagesOf(maxMessages);
  const stream = form.open(pool, sinceSeq, max, undefined, errorOnGap);
  try {
    need(stream, "take", form.what);
    native(() => seek(stream, options ?? {}));
    native(() => filter(stream, options ?? {}));
  } catch (error) {
    stream.close();
    throw error;
  }
  const source = new StreamSource(stream, form.reader(errorOnGap));
  const idleMs = isNothing(idleTimeoutMs) ? Infinity : Number(idleTimeoutMs);
  return new Iterator(() => new IdleSource(source, idleMs), signal);
}

function follow(pool, options) {
  return followOf(JSON_FORM, pool, options);
}

function followLite3(pool, options) {
  return followOf(LITE3_FORM, pool, options);
}

module.exports = { follow, followLite3, replay, tail, tailLite3 };
