"use strict";

// Async iteration over something that may have to be waited for.
//
// A source has three methods:
//   pull()      a value; NOTHING: none yet; END: no more will come. Never waits; may throw.
//   wait(wake)  calls wake() once, later, when pull() is worth another try.
//   close()     releases everything, and calls no wake() any more. May be called again.

const NOTHING = Symbol("nothing yet");
const END = Symbol("end");

const DONE = Object.freeze({ value: undefined, done: true });

/**
 * The iterator that callers get. `open` makes the source at the first next(), so that whatever is
 * wrong with the options is an error of that.
 *
 * Unlike an async generator it can be ended while a next() is waiting: return(), close(), the
 * signal, and the end of `await using` let go of everything at once.
 */
class Iterator {
  #open;
  #source = null;
  #waiting = []; // of next() calls, in order
  #done = false;
  #signal;
  #abort = () => this.#finish(this.#signal.reason);

  constructor(open, signal) {
    this.#open = open;
    this.#signal = signal ?? null;
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** The source, once it is open. */
  get source() {
    return this.#source;
  }

  next() {
    if (this.#waiting.length > 0) return this.#wait();
    let value;
    try {
      value = this.#pull();
    } catch (error) {
      this.#finish();
      return Promise.reject(error);
    }
    if (value === NOTHING) return this.#wait();
    if (value === END) {
      this.#finish();
      return Promise.resolve(DONE);
    }
    return Promise.resolve({ value, done: false });
  }

  /** Leaving the loop. */
  return(value) {
    this.#finish();
    return Promise.resolve({ value, done: true });
  }

  throw(error) {
    this.#finish();
    return Promise.reject(error);
  }

  /** Ends the iteration, from anywhere: the loop over it ends as if no more had come. */
  close() {
    this.#finish();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #pull() {
    if (this.#done) return END;
    if (this.#signal?.aborted) throw this.#signal.reason;
    this.#source ??= this.#open();
    return this.#source.pull();
  }

  #wait() {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (this.#waiting.length === 1) this.#arm();
    });
  }

  #arm() {
    try {
      this.#source.wait(() => this.#wake());
    } catch (error) {
      this.#finish(error);
    }
  }

  #wake() {
    while (this.#waiting.length > 0) {
      let value;
      try {
        value = this.#pull();
      } catch (error) {
        this.#finish(error);
        return;
      }
      if (value === NOTHING) {
        this.#arm();
        return;
      }
      if (value === END) {
        this.#finish();
        return;
      }
      this.#waiting.shift().resolve({ value, done: false });
    }
  }

  /** The end; an error is for whoever waits first, or for the next one to come. */
  #finish(error) {
    if (this.#done) return;
    const reported = error === undefined || this.#waiting.length > 0;
    this.#done = reported;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#source?.close();
    if (!reported) return;
    this.#open = null;
    const waiting = this.#waiting.splice(0);
    if (error !== undefined) waiting.shift().reject(error);
    for (const { resolve } of waiting) resolve(DONE);
  }
}

if (Symbol.asyncDispose !== undefined) {
  Iterator.prototype[Symbol.asyncDispose] = function dispose() {
    this.close();
    return Promise.resolve();
  };
}

module.exports = { END, Iterator, NOTHING };
