"""RFC 9112 through the real proxy: what comes up is what another server would have read."""

from __future__ import annotations

import random
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import h11
import pytest
from dialogue import wire
from witness import END, take_request

if TYPE_CHECKING:
    from witness import Message, Witness

LINES = [
    "GET / HTTP/1.1",
    "POST /a HTTP/1.1",
    "POST /b HTTP/1.1",
    "GET / HTTP/1.0",
    "PUT /c HTTP/1.1",
]
FIELDS = [
    "Content-Length: 5", "content-length: 0", "Content-Length: 3", "Content-Length:\\t5\\x20",
    "Transfer-Encoding: chunked", "transfer-encoding:\\tChunked", "Connection: keep-alive",
    "Connection: content-length", "Connection: close, transfer-encoding", "TE: trailers", "a: b",
    "Expect: 100-continue", "Keep-Alive: 5", "Trailer: Content-Length", "X-Content-Length: 5",
]  # fmt: skip
TRAPS = [
    "Content-Length : 5", "Transfer-Encoding: identity", "Transfer-Encoding: gzip", "Host: y",
    "Transfer-Encoding: chunked, chunked", "Content-Length: 5, 5", "Content-Length: +5",
    "\\x20Content-Length: 3", "a: b\\nContent-Length: 5", "Transfer\\0-Encoding: chunked",
]  # fmt: skip
BODIES = [
    "", "hello", "0 | |", "5 | hello | 0 | |", "3;a=b | hel | 2 | lo | 0 | a: b | |", "5 | hell",
    "5\\nhello\\n0\\n\\n", "GET /smuggled HTTP/1.1 | Host: x | |", "05 | 0\\r\\n\\r\\n | 0 | |",
]  # fmt: skip


def mixed(rng: random.Random) -> bytes:
    fields = rng.choices(FIELDS, k=rng.randint(0, 2))
    if rng.random() < 0.2:
        fields.append(rng.choice(TRAPS))
    rng.shuffle(fields)
    lines = [rng.choice(LINES), "Host: x", *fields, "", rng.choice(BODIES) + "\\"]
    return wire(" | ".join(lines))


def read_by_h11(said: bytes) -> list[Message]:
    """Read what a client said as another server would, as far as that would."""
    found: list[Message] = []
    with suppress(h11.RemoteProtocolError):
        while (taken := take_request(said))[0]:
            found.append(taken[0])
            said = taken[1]
    return found


@pytest.mark.parametrize("seed", range(150))
def test_nobody_reads_it_differently(witness: Witness, seed: int) -> None:
    """Framings and traps at random, in pieces; behind a refusal nothing comes up any more."""
    rng = random.Random(seed)
    said = b"".join(mixed(rng) for _ in range(3)) + END
    seen = witness.see(said, cuts=[rng.randrange(len(said)) for _ in range(rng.randint(0, 4))])
    read = [read_by_h11(raw)[0].content for raw in seen.requests]
    assert read == [message.content for message in read_by_h11(said)[: len(read)]]
    statuses = re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", seen.heard)
    assert statuses[: len(read)] == [b"200"] * len(read)
    assert statuses[len(read) :] in ([], [b"400"], [b"501"])
