"""Lite3 in Python, written from docs/lite3.md alone: what the C code is compared with."""
import base64
import math
import struct

NULL, BOOL, I64, F64, BYTES, STRING, OBJECT, ARRAY = range(8)
NODE = 96
KEYS = 7


def hash_of(key):
    value = 5381
    for byte in key:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


class Fault(Exception):
    pass


class Node:
    """A node in a buffer: reads and writes go through to the bytes."""

    FIELDS = {"gen_type": (0, 1), "hash": (4, 7), "size_kc": (32, 1), "kv": (36, 7), "child": (64, 8)}

    def __init__(self, out, at):
        self.out, self.at = out, at

    def get(self, field, i=0):
        return struct.unpack_from("<I", self.out, self.at + self.FIELDS[field][0] + 4 * i)[0]

    def set(self, field, i, value):
        struct.pack_into("<I", self.out, self.at + self.FIELDS[field][0] + 4 * i, value)

    def all(self, field):
        return [self.get(field, i) for i in range(self.FIELDS[field][1])]

    def set_all(self, field, values):
        for i in range(self.FIELDS[field][1]):
            self.set(field, i, values[i] if i < len(values) else 0)

    @property
    def keys(self):
        return self.get("size_kc") & 7

    @keys.setter
    def keys(self, n):
        self.set("size_kc", 0, self.get("size_kc") & ~7 | n)

    def count_one(self):
        self.set("size_kc", 0, self.get("size_kc") + 64)

    def insert(self, i, hash_, kv, child=0):
        n = self.keys
        hashes, kvs, children = self.all("hash")[:n], self.all("kv")[:n], self.all("child")[:n + 1]
        hashes.insert(i, hash_)
        kvs.insert(i, kv)
        children.insert(i + 1, child)
        self.set_all("hash", hashes)
        self.set_all("kv", kvs)
        self.set_all("child", children)
        self.keys = n + 1


class Encoder:
    def __init__(self):
        self.out = bytearray()

    def align(self):
        self.out += bytes(-len(self.out) % 4)

    def split(self, container, node, parent, i):
        kind = Node(self.out, container).get("gen_type") & 255
        self.align()
        if node.at == container:
            at = len(self.out)
            self.out += self.out[container:container + NODE]
            first = Node(self.out, container)
            for field in ("hash", "kv", "child"):
                first.set_all(field, [])
            first.keys = 0
            first.set("child", 0, at)
            node, parent, i = Node(self.out, at), first, 0
        at = len(self.out)
        self.out += bytes(NODE)
        hashes, kvs, children = node.all("hash"), node.all("kv"), node.all("child")
        parent.insert(i, hashes[3], kvs[3], at)
        sibling = Node(self.out, at)
        sibling.set("gen_type", 0, kind)
        for target, part, n in ((sibling, slice(4, None), 3), (node, slice(0, 3), 3)):
            target.set_all("hash", hashes[part])
            target.set_all("kv", kvs[part])
            target.set_all("child", children[4:] if target is sibling else children[:4])
            target.set("size_kc", 0, n)
        return node, parent, i, sibling

    def slot(self, container, hash_):
        """The leaf and the index of a new entry; None where the hash is taken."""
        node, parent, i = Node(self.out, container), None, 0
        while True:
            if node.keys == KEYS:
                node, parent, i, sibling = self.split(container, node, parent, i)
                separator = parent.get("hash", i)
                if separator == hash_:
                    return None
                if hash_ > separator:
                    node = sibling
            hashes = node.all("hash")[:node.keys]
            i = sum(value < hash_ for value in hashes)
            if i < len(hashes) and hashes[i] == hash_:
                return None
            if node.get("child") == 0:
                node.insert(i, hash_, 0)
                Node(self.out, container).count_one()
                return node, i
            parent, node = node, Node(self.out, node.get("child", i))

    def put(self, container, key, value):
        """Adds the bytes of a value; where they are."""
        first = Node(self.out, container)
        generation = (first.get("gen_type") >> 8) + 1 & 0xFFFFFF
        first.set("gen_type", 0, generation << 8 | first.get("gen_type") & 255)
        if key is None:
            leaf, i = self.slot(container, first.get("size_kc") >> 6)
            head = b""
        else:
            for attempt in range(128):
                found = self.slot(container, (hash_of(key) + attempt * attempt) & 0xFFFFFFFF)
                if found:
                    break
            else:
                raise Fault("too many keys of one hash")
            leaf, i = found
            size = len(key) + 1
            n = 1 if size < 64 else 2 if size < 16384 else 4
            head = (size << 2 | n - 1).to_bytes(n, "little") + key + b"\0"
        if len(value) == NODE:
            self.out += bytes(-(len(self.out) + len(head)) % 4)
        leaf.set("kv", i, len(self.out))
        self.out += head
        at = len(self.out)
        self.out += value
        return at

    def add(self, container, key, value, depth):
        if isinstance(value, (dict, list)):
            if depth == 32:
                raise Fault("nested deeper than 32 levels")
            kind = OBJECT if isinstance(value, dict) else ARRAY
            self.fill(self.put(container, key, bytes([kind]) + bytes(NODE - 1)), value, depth + 1)
        else:
            self.put(container, key, scalar(value))

    def fill(self, at, value, depth):
        if isinstance(value, dict):
            for key in sorted(value, key=str.encode):
                self.add(at, key.encode(), value[key], depth)
        else:
            for element in value:
                self.add(at, None, element, depth)


def scalar(value):
    if value is None:
        return bytes([NULL])
    if isinstance(value, bool):
        return bytes([BOOL, value])
    if isinstance(value, int) and -2**63 <= value < 2**63:
        return bytes([I64]) + struct.pack("<q", value)
    if isinstance(value, (int, float)):
        return bytes([F64]) + struct.pack("<d", value)
    if isinstance(value, bytes):
        return bytes([BYTES]) + struct.pack("<I", len(value)) + value
    text = value.encode()
    return bytes([STRING]) + struct.pack("<I", len(text) + 1) + text + b"\0"


def encode(document):
    """Any dict or list."""
    encoder = Encoder()
    encoder.out += bytes([OBJECT if isinstance(document, dict) else ARRAY]) + bytes(NODE - 1)
    encoder.fill(0, document, 1)
    return bytes(encoder.out)


def encode_message(tags, data):
    encoder = Encoder()
    encoder.out += bytes([OBJECT]) + bytes(NODE - 1)
    encoder.add(0, b"meta", {"tags": tags}, 1)
    encoder.add(0, b"data", data, 1)
    return bytes(encoder.out)


def decode(payload, at=0):
    """The value at an offset, as Python has it; members in the order of the tree."""
    kind = payload[at]
    if kind == NULL:
        return None
    if kind == BOOL:
        return bool(payload[at + 1])
    if kind == I64:
        return struct.unpack_from("<q", payload, at + 1)[0]
    if kind == F64:
        value = struct.unpack_from("<d", payload, at + 1)[0]
        assert math.isfinite(value)
        return value
    if kind in (BYTES, STRING):
        size = struct.unpack_from("<I", payload, at + 1)[0]
        content = payload[at + 5:at + 5 + size]
        return base64.b64encode(content).decode() if kind == BYTES else content[:-1].decode()
    entries = list(walk(payload, at))
    if kind == ARRAY:
        return [decode(payload, entry) for entry in entries]
    members = {}
    for entry in entries:
        n = (payload[entry] & 3) + 1
        size = int.from_bytes(payload[entry:entry + n], "little") >> 2
        members[payload[entry + n:entry + n + size - 1].decode()] = decode(payload, entry + n + size)
    return members


def walk(payload, at):
    node = Node(payload, at)
    for i in range(node.keys + 1):
        if node.get("child"):
            yield from walk(payload, node.get("child", i))
        if i < node.keys:
            yield node.get("kv", i)
