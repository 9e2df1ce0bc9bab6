"use strict";

// Messages. Those that come from a pool are read when they are asked for: a message that is only
// counted, or looked at for its tags, costs no parsing of its data.

// The bytes of a message as the library writes them:
//   {"seq":1,"time":"2026-01-02T03:04:05.6Z","meta":{"tags":["a"]},"data":{"k":1}}
const HEAD = '{"seq":';
// Nothing before the data can contain this: inside a string a quote has a backslash before it.
const DATA = ']},"data":';

const NANOSECONDS = 1000000000n;
const LAZY = Symbol("lazy");
const NO_TAGS = Object.freeze([]);

/** RFC 3339, with as many digits of the second as are needed. */
function rfc3339(timeNs) {
  const fraction = timeNs % NANOSECONDS;
  const whole = new Date(Number(timeNs / 1000000n)).toISOString().slice(0, 19);
  if (fraction === 0n) return `${whole}Z`;
  return `${whole}.${fraction.toString().padStart(9, "0").replace(/0+$/, "")}Z`;
}

function freezeTags(tags) {
  return tags.length === 0 ? NO_TAGS : Object.freeze(tags);
}

/** A number where that is exact, else text: how JSON gets a bigint. */
function jsonSeq(seq) {
  return seq <= Number.MAX_SAFE_INTEGER ? Number(seq) : seq.toString();
}

class Message {
  #bytes; // where the message stands, from #start to #end
  #start;
  #end;
  #text; // the JSON of its data, of a message that was just appended
  #timeNs;
  #seq;
  #timeRfc3339;
  #time;
  #meta;
  #data;
  #raw;

  constructor(envelope, raw) {
    if (envelope === LAZY) return;
    const read = readEnvelope(envelope);
    this.#seq = read.seq;
    this.#timeRfc3339 = read.timeRfc3339;
    this.#time = read.time;
    this.#meta = Object.freeze({ tags: freezeTags(read.tags) });
    this.#data = envelope.data;
    this.#raw = raw;
  }

  /** The message in bytes[start..end), as the library wrote it. */
  static ofLine(token, bytes, start, end) {
    const message = new Message(token);
    message.#bytes = bytes;
    message.#start = start;
    message.#end = end;
    return message;
  }

  /** The message that was made of this JSON text. */
  static ofReceipt(token, seq, timeNs, tags, text) {
    const message = new Message(token);
    message.#seq = seq;
    message.#timeNs = timeNs;
    message.#meta = tags;
    message.#text = text;
    return message;
  }

  /** Number of the message in its pool, from 1n. */
  get seq() {
    if (this.#seq === undefined) {
      const start = this.#start + HEAD.length;
      const comma = this.#bytes.indexOf(0x2c, start);
      this.#seq = BigInt(this.#bytes.latin1Slice(start, comma));
    }
    return this.#seq;
  }

  get timeRfc3339() {
    if (this.#timeRfc3339 === undefined) {
      if (this.#timeNs !== undefined) this.#timeRfc3339 = rfc3339(this.#timeNs);
      else this.#readHead();
    }
    return this.#timeRfc3339;
  }

  get time() {
    this.#time ??= new Date(this.timeRfc3339);
    return this.#time;
  }

  get meta() {
    if (this.#meta === undefined) {
      if (this.#bytes !== undefined) this.#readHead();
      else this.#meta = Object.freeze({ tags: NO_TAGS });
    } else if (Array.isArray(this.#meta)) {
      this.#meta = Object.freeze({ tags: freezeTags(this.#meta) });
    }
    return this.#meta;
  }

  get tags() {
    return this.meta.tags;
  }

  get data() {
    if (this.#data === undefined) {
      if (this.#text !== undefined) this.#data = JSON.parse(this.#text);
      else if (this.#bytes !== undefined) {
        this.#data = JSON.parse(this.#bytes.utf8Slice(this.#dataStart(), this.#end - 1));
      }
    }
    return this.#data;
  }

  /** The message's bytes. */
  get raw() {
    if (this.#raw === undefined) {
      if (this.#bytes !== undefined) this.#raw = this.#bytes.subarray(this.#start, this.#end);
      else if (this.#text !== undefined) this.#raw = Buffer.from(this.#stored());
      else this.#raw = Buffer.from(JSON.stringify(this));
    }
    return this.#raw;
  }

  toJSON() {
    return { seq: jsonSeq(this.seq), time: this.timeRfc3339, data: this.data, meta: this.meta };
  }

  [Symbol.for("nodejs.util.inspect.custom")](depth, options, inspect) {
    const { seq, timeRfc3339, tags, data } = this;
    return `Message ${inspect({ seq, time: timeRfc3339, tags, data }, options)}`;
  }

  /** What the library stored: text that JSON.stringify made is stored as it is. */
  #stored() {
    const { seq, timeRfc3339, meta } = this;
    return `{"seq":${seq},"time":"${timeRfc3339}","meta":${JSON.stringify(meta)},"data":${this.#text}}`;
  }

  #dataStart() {
    return this.#bytes.indexOf(DATA, this.#start, "latin1") + DATA.length;
  }

  #readHead() {
    const end = this.#dataStart() - DATA.length + "]}".length;
    const head = JSON.parse(`${this.#bytes.utf8Slice(this.#start, end)}}`);
    this.#timeRfc3339 = head.time;
    this.#meta = Object.freeze({ tags: freezeTags(head.meta.tags) });
  }
}

// The two ways in for this package alone: outside only parseMessage and the constructor are known.
const { ofLine, ofReceipt } = Message;
delete Message.ofLine;
delete Message.ofReceipt;

function lineMessage(bytes, start = 0, end = bytes.length) {
  return ofLine(LAZY, bytes, start, end);
}

function receiptMessage(seq, timeNs, tags, text) {
  return ofReceipt(LAZY, seq, timeNs, tags, text);
}

// Envelopes ---------------------------------------------------------------------------------------

function readSeq(seq) {
  if (typeof seq === "bigint" && seq >= 0n) return seq;
  if (typeof seq === "number" && Number.isSafeInteger(seq) && seq >= 0) return BigInt(seq);
  if (typeof seq === "string" && /^\d+$/.test(seq)) return BigInt(seq);
  throw new TypeError("message seq must be a non-negative integer");
}

/** What is common to all messages, checked; from an object of anybody's. */
function readEnvelope(envelope) {
  if (envelope === null || typeof envelope !== "object" || Array.isArray(envelope)) {
    throw new TypeError("a message must be an object");
  }
  const seq = readSeq(envelope.seq);
  const isDate = envelope.time instanceof Date;
  const time = new Date(isDate || typeof envelope.time === "string" ? envelope.time : NaN);
  if (Number.isNaN(time.getTime())) throw new TypeError("message time must be a valid date");
  const tags = envelope.meta?.tags;
  const usable = Array.isArray(tags) && tags.every((tag) => typeof tag === "string");
  return {
    seq,
    time,
    timeRfc3339: isDate ? time.toISOString() : envelope.time,
    tags: usable ? [...tags] : [],
  };
}

/** JSON.parse rounds a seq above 2^53: its digits are taken from the text. */
function exactSeq(envelope, text) {
  if (typeof envelope?.seq !== "number" || Number.isSafeInteger(envelope.seq)) return envelope;
  const digits = /^\s*\{\s*"seq"\s*:\s*(\d+)\s*,/.exec(text)?.[1];
  return digits === undefined ? envelope : { ...envelope, seq: BigInt(digits) };
}

/** A Message from its bytes, from an envelope object, or from a Message, which is returned. */
function parseMessage(input) {
  if (input instanceof Message) return input;
  if (!(input instanceof Uint8Array)) return new Message(input);
  const raw = Buffer.isBuffer(input)
    ? input
    : Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  const text = raw.toString("utf8");
  let envelope;
  try {
    envelope = JSON.parse(text);
  } catch (error) {
    throw new TypeError(`message is not JSON: ${error.message}`, { cause: error });
  }
  return new Message(exactSeq(envelope, text), raw);
}

/** A frame with its time as a Date. */
function withTime(frame) {
  return Object.defineProperty(frame, "time", {
    enumerable: true,
    configurable: true,
    get() {
      return new Date(Number(this.timestampNs / 1000000n));
    },
  });
}

module.exports = { Message, lineMessage, parseMessage, receiptMessage, rfc3339, withTime };
