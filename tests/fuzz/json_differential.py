#!/usr/bin/env python3
"""Compares json_compact() with Python's json module and with jq, on mutated texts.

usage: json_differential.py JSON_PIPE [--count N] [--seed N]

Python is made as strict as RFC 8259 and our rules: no NaN, no lone surrogates, well-formed UTF-8.
Both must accept the same texts, and what comes out must mean the same, with every number as it
was written. jq is laxer: what we accept it must accept as one value that means the same.
A run is repeated by its seed. Speaks TAP.
"""

import argparse
import json
import math
import random
import re
import shutil
import struct
import subprocess
import sys

SURROGATE = re.compile("[\ud800-\udfff]")
DEPTH_MAX_JQ = 250
SIGNS = b"{}[]:,\"\\ \t\n0123456789+-.eEtrufalsn/'\x00\x01\x1f\x7f\x80\xbf\xc2\xe0\xed\xf0\xf4\xff"
PIECES = [
    b"\\u", b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b"\\\"", b"\\\\", b"\\n", b"true", b"false",
    b"null", b"[]", b"{}", b"[", b"]", b"{\"a\":", b"}", b",", b":", b"\"\"", b"\"k\":1", b"1e5",
    b"-0", b"0.5", b"01", b"1.", b"\xef\xbb\xbf", b"\xe2\x82\xac", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80",
    b"\xf4\x90\x80\x80", b"NaN", b"-Infinity", b" " * 70, b"x" * 70, b"/**/", b"\x1e",
]


# What strings are made of: four of five are plain characters.
TEXT = 5 * [bytes([byte]) for byte in b"abcxyz 0129{}[],:'/-"] + 2 * (
    [chr(code).encode() for code in (0x7F, 0xE9, 0x7FF, 0x800, 0x20AC, 0xFFFF, 0x1F600)]
    + [b"\\n", b"\\\"", b"\\\\", b"\\/", b"\\u00e9", b"\\ud83d\\ude00"]
)
MUTATIONS_OF_ONE = 4  # documents take longer to make than to change and to compare


class Number(str):
    """A number as it was written."""


class Refused(Exception):
    pass


def refuse(_):
    raise Refused


def text_of(value):
    if SURROGATE.search(value):
        raise Refused
    return value


def walk(value):
    """The value with its strings checked; members as a list of pairs."""
    if isinstance(value, Number) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, tuple):
        return ("object", [(text_of(key), walk(member)) for key, member in value[1]])
    return [walk(element) for element in value]


DECODER = json.JSONDecoder(
    object_pairs_hook=lambda pairs: ("object", pairs),
    parse_int=Number,
    parse_float=Number,
    parse_constant=refuse,
)


def parse(data):
    """The value of the text, or None if it is no JSON."""
    try:
        text = data.decode("utf-8")
        if text.startswith("\ufeff"):
            return None
        return (walk(DECODER.decode(text.strip(" \t\r\n"))),)
    except (ValueError, Refused):
        return None


class Maker:
    """Random texts: some JSON, most nearly so."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.random, self.choices = rng.random, rng.choices
        self.blanks = 0.0
        self.base = b""
        self.n_left = 0

    def below(self, n):
        return int(self.random() * n)

    def one_of(self, values):
        return values[int(self.random() * len(values))]

    def blank(self):
        if self.random() >= self.blanks:
            return b""
        return bytes(self.choices(b" \t\n\r", k=self.one_of((1, 1, 1, 2, 5, 80))))

    def string(self):
        return b'"' + b"".join(self.choices(TEXT, k=self.one_of((0, 1, 3, 8, 8, 20, 90)))) + b'"'

    def number(self):
        whole = str(self.one_of((0, 1, 7, 42, self.below(10**6), self.below(10**30))))
        fraction = "." + str(self.below(10**5)) if self.random() < 0.3 else ""
        exponent = self.one_of("eE") + self.one_of(("", "+", "-")) + str(self.below(400))
        exponent = exponent if self.random() < 0.2 else ""
        return (self.one_of(("", "-")) + whole + fraction + exponent).encode()

    def value(self, depth):
        kind = self.below(4 if depth == 0 else 8)
        if kind == 0:
            return self.one_of((b"true", b"false", b"null"))
        if kind == 1:
            return self.number()
        if kind in (2, 3):
            return self.string()
        return self.container(depth - 1, kind % 2 == 0)

    def container(self, depth, is_object):
        parts = []
        for _ in range(self.one_of((0, 1, 2, 3, 5))):
            key = self.string() + self.blank() + b":" + self.blank() if is_object else b""
            parts.append(self.blank() + key + self.value(depth) + self.blank())
        inside = b",".join(parts) or self.blank()
        return b"{" + inside + b"}" if is_object else b"[" + inside + b"]"

    def document(self):
        self.blanks = self.one_of((0, 0, 0.1, 0.5, 1))
        if self.random() < 0.1:
            return self.blank() + self.value(2) + self.blank()
        return self.blank() + self.container(1 + self.below(5), self.random() < 0.7) + self.blank()

    def mutated(self):
        if self.n_left == 0:
            self.base = self.document()
            self.n_left = MUTATIONS_OF_ONE
        self.n_left -= 1
        data = bytearray(self.base)
        for _ in range(self.one_of((0, 1, 1, 1, 2, 4))):
            at = self.below(len(data) + 1)
            kind = self.below(6)
            if kind == 0 and at < len(data):
                data[at] = self.one_of(SIGNS)
            elif kind == 1 and at < len(data):
                data[at] ^= 1 << self.below(8)
            elif kind == 2:
                data[at:at] = bytes([self.one_of(SIGNS)])
            elif kind == 3:
                data[at:at] = self.one_of(PIECES)
            elif kind == 4:
                del data[at : at + self.one_of((1, 1, 2, 10))]
            else:
                end = min(len(data), at + self.below(20))
                data[at:at] = data[at:end]
        return bytes(data)


def ask(program, texts):
    """What json_compact() says: a list of (accepted, compact text or place)."""
    request = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    reply = subprocess.run([program], input=request, stdout=subprocess.PIPE, check=True).stdout
    answers = []
    at = 0
    while at < len(reply):
        length = struct.unpack_from("<I", reply, at + 1)[0]
        answers.append((reply[at] == 1, reply[at + 5 : at + 5 + length]))
        at += 5 + length
    if len(answers) != len(texts):
        raise AssertionError(f"{len(answers)} answers to {len(texts)} texts")
    return answers


def check_python(program, texts):
    """Returns the accepted texts' compact forms."""
    accepted = []
    for text, (ok, answer) in zip(texts, ask(program, texts)):
        value = parse(text)
        if ok != (value is not None):
            raise AssertionError(f"{'accepted' if ok else 'refused'}, unlike Python: {text!r}")
        if not ok:
            if not 0 <= int(answer) <= len(text):
                raise AssertionError(f"fault at {int(answer)}: {text!r}")
            continue
        if parse(answer) != value:
            raise AssertionError(f"{text!r} became {answer!r}")
        accepted.append(answer)
    for text, (ok, answer) in zip(accepted, ask(program, accepted)):
        if not ok or answer != text:
            raise AssertionError(f"not compact, or no JSON: {text!r}")
    return accepted


def plain(value):
    """The value as jq sees it: numbers are doubles, the last of several members counts."""
    if isinstance(value, Number):
        number = float(value)
        return math.copysign(min(abs(number), sys.float_info.max), number)
    if isinstance(value, tuple):
        return {key: plain(member) for key, member in value[1]}
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value


def close(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-300)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    return type(a) is type(b) and a == b


def depth_of(value):
    if isinstance(value, tuple):
        return 1 + max((depth_of(member) for _, member in value[1]), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def check_jq(accepted):
    texts = [text for text in accepted if depth_of(parse(text)[0]) < DEPTH_MAX_JQ]
    run = subprocess.run(
        ["jq", "-c", "."], input=b"\n".join(texts), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    lines = run.stdout.split(b"\n")[:-1]
    if run.returncode != 0 or len(lines) != len(texts):
        text = texts[len(lines)] if len(lines) < len(texts) else b""
        raise AssertionError(f"jq: {run.stderr.decode()} after {len(lines)} values, at {text!r}")
    for text, line in zip(texts, lines):
        if not close(plain(parse(text)[0]), plain(parse(line)[0])):
            raise AssertionError(f"jq reads {text!r} as {line!r}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"TAP version 13\n1..2\n# --seed {options.seed}", flush=True)

    maker = Maker(options.seed)
    with_jq = shutil.which("jq") is not None
    n_accepted = 0
    failed = [None, None]
    for begin in range(0, options.count, 1000):
        texts = [maker.mutated() for _ in range(min(1000, options.count - begin))]
        try:
            step = 0
            accepted = check_python(options.program, texts)
            n_accepted += len(accepted)
            step = 1
            if with_jq:
                check_jq(accepted)
        except AssertionError as error:
            failed[step] = error
            break
    print(f"# {options.count} texts, {n_accepted} of them JSON")
    for number, name in enumerate(("agrees with Python", "agrees with jq")):
        if failed[number] is not None:
            print(f"not ok {number + 1} {name}\n# {failed[number]}")
        else:
            skip = " # SKIP jq is not installed" if number == 1 and not with_jq else ""
            print(f"ok {number + 1} {name}{skip}")
    return 1 if any(failed) else 0


if __name__ == "__main__":
    sys.exit(main())
