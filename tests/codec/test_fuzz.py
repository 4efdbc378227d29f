"""Valid messages, damaged at random: refused or understood, never anything else."""

from __future__ import annotations

import random

from reading import Reader, memo_sizes

from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.h1 import Codec

REQUESTS = [
    b"GET /a?b=c HTTP/1.1\r\nHost: example.org:80\r\nAccept: */*\r\nCookie: a=b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n0123456789",
    b"POST http://x/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n"
    b"5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, x-a\r\nUpgrade: websocket\r\nX-A: \r\n\r\n",
    b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n",
    b"OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: now\r\nSet-Cookie: a=b\r\nETag: x",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket",
    b"HTTP/1.0 404 Not Found\r\nConnection: keep-alive, x-a\r\nX-A: 1",
    b"HTTP/1.1 204\r\nTransfer-Encoding: chunked",
]
SPICE = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"+", b"-", b"0", b"\xff",
         b"%", b"@", b"/", b"[", b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n",
         b"Host: y\r\n", b"\r\n\r\n", b"chunked", b"HTTP/1.1", b"ffffffffffffffff"]  # fmt: skip
METHODS = ["GET", "HEAD", "CONNECT"]


def damaged(wire: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(wire) + 1)
        to = min(len(wire), at + rng.choice([0, 0, 1, 1, 2, 10]))
        other = rng.randrange(len(wire) + 1)
        new = rng.choice([rng.choice(SPICE), b"", rng.randbytes(2), wire[other : other + 20]])
        wire = wire[:at] + new + wire[to:]
    return wire


def test_damaged_requests_are_refused_or_can_be_sent_on() -> None:
    rng, codec, understood = random.Random(1), Codec(), 0
    for _ in range(20_000):
        wire = damaged(rng.choice(REQUESTS), rng)
        for exchange in Reader(codec).feed([wire]).exchanges:
            understood += 1
            sent = codec.encode_request(exchange.request)
            assert sent.index(b"\r\n\r\n") == len(sent) - 4
            again = codec.parse_request(sent[:-4]) if exchange.request.authority else None
            assert again is None or codec.encode_request(again) == sent
    assert understood > 1000
    assert max(memo_sizes(codec)) <= 1024


def test_damaged_responses_are_refused_or_can_be_sent_on() -> None:
    rng, codec, understood = random.Random(2), Codec(), 0
    for _ in range(20_000):
        head, method = damaged(rng.choice(RESPONSES), rng), rng.choice(METHODS)
        try:
            response = codec.parse_response(head, method)
        except MalformedMessage:
            continue
        understood += 1
        for minor in (0, 1):
            sent = codec.encode_response(response, minor=minor)
            assert sent.index(b"\r\n\r\n") == len(sent) - 4
            again = codec.parse_response(sent[:-4], method)
            assert again.headers.fields == response.headers.fields
            assert again.framing is response.framing_to(minor)
    assert understood > 1000
    assert max(memo_sizes(codec)) <= 1024
