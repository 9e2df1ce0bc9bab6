"""Messages that a program appends as Lite3, seen by the command line; and the C encoder beside one in Python."""

import base64
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLSM_BUILD", ROOT / "build")).resolve()
sys.path.insert(0, str(ROOT / "tests/support"))

import lite3  # noqa: E402  (found by the line above)

# Lines in: "lite3 BYTES", "json TEXT". Lines out: the message as Lite3 and as JSON, or the error.
PROGRAM = r"""
#include <plasmite.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static plsm_error_t *err;

static void failed(void)
{
    printf("error %d %s\n", err->kind, err->message);
    plsm_error_free(err);
}

static size_t bytes_of(const char *hex, unsigned char *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;
    for (; hex[2 * n] != 0; n++)
        out[n] = (unsigned char)((strchr(digits, hex[2 * n]) - digits) * 16 +
                                 (strchr(digits, hex[2 * n + 1]) - digits));
    return n;
}

static int append(plsm_pool_t *pool, const char *line, uint64_t *seq)
{
    unsigned char *bytes = malloc(strlen(line));
    plsm_buf_t message = {0};
    unsigned long long n = 0;
    int r;
    if (strncmp(line, "lite3 ", 6) == 0) {
        r = plsm_pool_append_lite3(pool, bytes, bytes_of(line + 6, bytes), PLSM_FAST, seq, &err);
    } else {
        r = plsm_pool_append_json(
            pool, (const uint8_t *)line + 5, strlen(line + 5), NULL, 0, PLSM_FAST, &message, &err);
        if (r == 0)
            sscanf((const char *)message.data, "{\"seq\":%llu", &n);
        *seq = n;
        plsm_buf_free(&message);
    }
    free(bytes);
    return r;
}

int main(int argc, char **argv)
{
    plsm_client_t *client;
    plsm_pool_t *pool;
    static char line[1 << 22];
    if (argc != 2 || plsm_client_new(".", &client, &err) != 0 ||
        plsm_pool_create(client, argv[1], 16 << 20, &pool, &err) != 0)
        return 1;
    while (fgets(line, sizeof(line), stdin) != NULL) {
        plsm_lite3_frame_t frame;
        plsm_buf_t message;
        uint64_t seq = 0;
        line[strcspn(line, "\n")] = 0;
        if (append(pool, line, &seq) != 0 || plsm_pool_get_lite3(pool, seq, &frame, &err) != 0) {
            failed();
            continue;
        }
        for (size_t i = 0; i < frame.payload.len; i++)
            printf("%02x", frame.payload.data[i]);
        if (plsm_pool_get_json(pool, seq, &message, &err) != 0)
            return 1;
        printf(" %.*s\n", (int)message.len, (const char *)message.data);
        plsm_buf_free(&message);
        plsm_lite3_frame_free(&frame);
    }
    plsm_pool_free(pool);
    plsm_client_free(client);
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lite3")
    (folder / "program.c").write_text(PROGRAM)
    subprocess.run(["cc", "-Wall", "-I", str(ROOT / "include"), "-o", str(folder / "program"), str(folder / "program.c"),
                    "-L", str(BUILD), "-lplasmite"], check=True)
    return folder / "program"


@pytest.fixture
def run(program, tmp_path):
    def run(lines):
        """A pair (payload, message) for each line, or its error."""
        done = subprocess.run([program, tmp_path / "pool.plasmite"], input="".join(f"{line}\n" for line in lines).encode(),
                              capture_output=True, check=True, env={**os.environ, "LD_LIBRARY_PATH": str(BUILD)})
        out = done.stdout.decode().splitlines()
        assert len(out) == len(lines)
        return [line if line.startswith("error") else
                (bytes.fromhex(line.split(" ", 1)[0]), json.loads(line.split(" ", 1)[1])) for line in out]
    return run


def cli(*args):
    return subprocess.run([BUILD / "plasmite", *args], capture_output=True, check=True, timeout=60).stdout


def drawn(draw, depth=0):
    kind = draw.randrange(9 if depth < 5 else 6)
    if kind == 0:
        return draw.choice([None, True, False])
    if kind == 1:
        return draw.choice([0, -1, 2**63 - 1, -2**63, 2**63, 10**30, draw.randrange(-10**6, 10**6)])
    if kind == 2:
        return draw.choice([0.0, -0.0, 1e-6, 1e300, 5e-324, draw.random(), draw.uniform(-1e20, 1e20)])
    if kind < 6:
        return "".join(draw.choice("ab\"\\\n\x00é€😀 ") for _ in range(draw.choice([0, 1, 3, 9, 20, 89, 90, 91, 200])))
    if kind < 7:
        return [drawn(draw, depth + 1) for _ in range(draw.choice([0, 1, 7, 8, 40, 120]) >> 2 * max(depth - 1, 0))]
    return members(draw, depth + 1)


def members(draw, depth=0):
    return {"".join(draw.choice("abAB@`é") for _ in range(draw.choice([0, 1, 2, 2, 4, 63, 200]))): drawn(draw, depth)
            for _ in range(draw.choice([0, 1, 6, 8, 25, 90]) >> 2 * depth)}


def fits(value):
    """Integers beyond 64 bits are doubles."""
    if isinstance(value, dict):
        return {key: fits(member) for key, member in value.items()}
    if isinstance(value, list):
        return [fits(element) for element in value]
    return float(value) if isinstance(value, int) and not -2**63 <= value < 2**63 else value


def test_both_encoders_write_the_same_bytes(run):
    seed = int(os.environ.get("PLSM_SEED", "1"))
    draw = random.Random(seed)
    documents = [members(draw) for _ in range(25)]
    documents.append({"Aa" * (i & 1) + "B@" * (2 - (i & 1)) + "aB" * (i >> 1): i for i in range(40)})
    for document, (payload, message) in zip(documents, run(
            ["json " + json.dumps(document) for document in documents]), strict=True):
        assert message["data"] == document, seed
        assert payload == lite3.encode_message([], document), seed


def test_payloads_of_the_other_encoder_are_read(run):
    draw = random.Random(2)
    documents = [members(draw) for _ in range(25)]
    payloads = [lite3.encode_message(["x", "é\"", ""], document) for document in documents]
    for document, payload, (again, message) in zip(documents, payloads, run(
            ["lite3 " + payload.hex() for payload in payloads]), strict=True):
        assert again == payload
        assert message["meta"]["tags"] == ["x", "é\"", ""]
        assert message["data"] == fits(document)
        assert list(message["data"]) == list(lite3.decode(payload)["data"])


def test_extra_members_and_bytes_behind_are_kept(run):
    encoder = lite3.Encoder()
    encoder.out += bytes([lite3.OBJECT]) + bytes(95)
    for key, value in ((b"extra", {"a": [1]}), (b"data", {"k": b"\x00\xff"}), (b"meta", {"tags": ["t"], "more": 1})):
        encoder.add(0, key, value, 1)
    payload = bytes(encoder.out) + b"behind"
    ((again, message),) = run(["lite3 " + payload.hex()])
    assert again == payload
    assert message["data"] == {"k": base64.b64encode(b"\x00\xff").decode()} and message["meta"] == {"tags": ["t"]}


def test_every_command_shows_lite3_as_json(run, tmp_path):
    run(["lite3 " + lite3.encode_message(["even", "x"] if n % 2 == 0 else [], {"n": n, "from": "me"}).hex()
         for n in range(1, 9)] + ['json {"n":9}'])
    pool = str(tmp_path / "pool.plasmite")
    before = (tmp_path / "pool.plasmite").read_bytes()
    assert json.loads(cli("fetch", pool, "3"))["data"] == {"n": 3, "from": "me"}
    assert json.loads(cli("get", pool, "4"))["meta"] == {"descrips": ["even", "x"]}

    def follow(*args):
        out = cli("follow", pool, "--tail", "20", "--replay", "0", "--jsonl", *args)
        return [json.loads(line) for line in out.splitlines()]
    assert [message["data"]["n"] for message in follow()] == list(range(1, 10))
    assert [message["seq"] for message in follow("--tag", "even")] == [2, 4, 6, 8]
    assert [message["seq"] for message in follow("--where", ".data.n > 5")] == [6, 7, 8, 9]
    assert [message["seq"] for message in follow("--where", ".data | has(\"from\") | not")] == [9]
    assert follow("--where", "[.data.n] | any(. == 7)", "--data-only") == [{"n": 7, "from": "me"}]
    assert [json.loads(line)["seq"] for line in cli("follow", pool, "--tail", "9", "--one", "--jsonl").splitlines()] == [9]
    for me, seqs in (("you", [8, 9]), ("me", [9])):  # those from oneself do not count
        done = subprocess.run([BUILD / "plasmite", "duplex", pool, "--me", me, "--tail", "2", "--jsonl"],
                              input=b'{"from":"z"}', capture_output=True, check=True, timeout=60)
        assert [json.loads(line)["seq"] for line in done.stdout.splitlines()][:len(seqs)] == seqs
        pool = str(tmp_path / "again.plasmite")
        (tmp_path / "again.plasmite").write_bytes(before)
    assert cli("doctor", pool).decode().startswith("OK")


def test_payloads_that_are_cut_are_refused(run):
    payload = lite3.encode_message(["a"], {"k": "text", "l": [1, 2, {"m": None}]})
    answers = run(["lite3 " + payload[:n].hex() for n in range(len(payload) + 1)])
    assert all(answer.startswith("error 7 ") for answer in answers[:-1])
    assert answers[-1][0] == payload


def test_changed_payloads_are_refused_or_read(run):
    """Whatever a byte becomes, what is accepted can be read in both forms."""
    payload = lite3.encode_message(["a"], {"k": "text", "l": [1, 2.5, {"m": None}], "b": True})
    lines = []
    for at in range(len(payload)):
        for change in (1, 0x80, 0xff):
            lines.append("lite3 " + (payload[:at] + bytes([payload[at] ^ change]) + payload[at + 1:]).hex())
    refused = 0
    for line, answer in zip(lines, run(lines), strict=True):
        if isinstance(answer, str):
            assert answer.startswith("error 7 "), answer
            refused += 1
        else:
            assert "lite3 " + answer[0].hex() == line
    assert refused > len(lines) / 4
