"""Pool files of format version 3, as Plasmite 0.8 makes them, written from docs/format-3.md."""
import struct

import lite3

HEADER = struct.Struct("<4sIB7xQQIIQQQQQQQQ")
FRAME = struct.Struct("<4sIIIQQIII20x")
END = b"PLSMCMIT"
COMMITTED, WRAP = 2, 3


class Pool3:
    """A pool in memory; bytes(pool) is the file."""

    def __init__(self, size=65536, capacity=None, first_seq=1):
        if capacity is None:
            capacity = max(0, min(size // 256, 65536, (size - 5120) // 16))
        self.size, self.capacity = size, capacity
        self.ring_offset = 4096 + 16 * capacity
        self.ring = bytearray(size - self.ring_offset)
        self.index = bytearray(16 * capacity)
        self.head = self.tail = self.tail_next = 0
        self.oldest, self.newest = 0, first_seq - 1
        self.frames = []  # (seq, offset, length) of those that are there
        self.version = 3

    def __bytes__(self):
        header = HEADER.pack(b"PLSM", self.version, 1, self.size, 4096, self.capacity, 0, self.ring_offset,
                             len(self.ring), 0, self.head, self.tail, self.tail_next, self.oldest, self.newest)
        return header + bytes(4096 - len(header)) + bytes(self.index) + bytes(self.ring)

    def append(self, data, tags=(), time_ns=1_700_000_000_000_000_000):
        return self.append_payload(lite3.encode_message(list(tags), data), time_ns)

    def append_payload(self, payload, time_ns=1_700_000_000_000_000_000):
        need = -(-(FRAME.size + len(payload) + len(END)) // 8) * 8
        if need > len(self.ring):
            raise ValueError("payload exceeds ring capacity")
        at = self.head
        if len(self.ring) - at < need:
            self.evict(at, len(self.ring))
            if len(self.ring) - at >= FRAME.size:
                FRAME.pack_into(self.ring, at, b"FRM1", WRAP, 0, FRAME.size, 0, 0, 0, 0xFFFFFFFF, 0)
            at = 0
        self.evict(at, at + need)
        self.newest += 1
        FRAME.pack_into(self.ring, at, b"FRM1", COMMITTED, 0, FRAME.size, self.newest, time_ns, len(payload),
                        len(payload) ^ 0xFFFFFFFF, 0)
        self.ring[at + FRAME.size:at + FRAME.size + len(payload) + len(END)] = payload + END
        if self.capacity:
            struct.pack_into("<QQ", self.index, 16 * (self.newest % self.capacity), self.newest, at)
        self.frames.append((self.newest, at, need))
        self.head = (at + need) % len(self.ring)
        self.settle()
        return self.newest

    def evict(self, start, end):
        """Drops the frames that lie there, the oldest first."""
        while self.frames and any(at < end and start < at + n for _, at, n in self.frames):
            self.frames.pop(0)
        self.settle()

    def settle(self):
        if self.frames:
            self.oldest, self.tail, length = self.frames[0]
            self.tail_next = (self.tail + length) % len(self.ring)
        else:
            self.oldest, self.tail, self.tail_next = 0, self.head, self.head

    def clear(self):
        """Empty, although messages were there."""
        self.frames = []
        self.settle()

    def offset_of(self, seq):
        """Of the message's frame in the file."""
        return self.ring_offset + next(at for n, at, _ in self.frames if n == seq)
