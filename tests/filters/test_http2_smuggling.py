"""What would be two requests, or another one, on HTTP/1.1: nothing of it reaches an upstream.

RFC 9113 sections 8.1.1, 8.2.1, 8.2.2, 8.3.1 and 10.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hpack
import pytest
from h2_peer import PREFACE, H2Peer
from serving import http

if TYPE_CHECKING:
    from serving import Serving

GET = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.org")]
POST = [(":method", "POST"), *GET[1:]]


def but(name: str, value: str) -> list[tuple[str, str]]:
    """A GET whose `name` is something else."""
    return [(each, value if each == name else said) for each, said in GET]


HEADS = {
    "line end in a value": [*GET, ("x", "1\r\ny: 2")],
    "newline in a value": [*GET, ("x", "1\ny: 2")],
    "null in a value": [*GET, ("x", "1\0")],
    "line end in a name": [*GET, ("x: 1\r\ny", "2")],
    "colon in a name": [*GET, ("x:y", "2")],
    "space in a name": [*GET, ("x y", "2")],
    "upper case in a name": [*GET, ("X", "2")],
    "no name": [*GET, ("", "2")],
    "another request in the path": but(":path", "/ HTTP/1.1\r\nhost: b\r\n\r\nGET /b"),
    "space in the path": but(":path", "/a b"),
    "no slash": but(":path", "a"),
    "no path": but(":path", ""),
    "space in the method": but(":method", "GET /b"),
    "line end in the method": but(":method", "GET / HTTP/1.1\r\nx: y\r\n\r\n"),
    "line end in the authority": but(":authority", "a\r\nx: y"),
    "user in the authority": but(":authority", "me@a.org"),
    "path in the authority": but(":authority", "a.org/b"),
    "line end in the scheme": but(":scheme", "http\r\n"),
    "another host": [*GET, ("host", "b.org")],
    "two hosts": [*GET, ("host", "a.org"), ("host", "a.org")],
    "transfer-encoding": [*POST, ("transfer-encoding", "chunked")],
    "connection": [*GET, ("connection", "x-hop"), ("x-hop", "1")],
    "keep-alive": [*GET, ("keep-alive", "timeout=5")],
    "proxy-connection": [*GET, ("proxy-connection", "close")],
    "upgrade": [*GET, ("upgrade", "websocket")],
    "te": [*GET, ("te", "gzip")],
    "two lengths": [*POST, ("content-length", "3"), ("content-length", "4")],
    "a list of lengths": [*POST, ("content-length", "3, 4")],
    "a length that is none": [*POST, ("content-length", "+3")],
    "two methods": [(":method", "GET"), *POST],
    "two paths": [*GET, (":path", "/b")],
    "a pseudo-field too late": [("x", "y"), *GET],
    "an unknown pseudo-field": [(":status", "200"), *GET],
    "no method": GET[1:],
}


def frame(kind: int, flags: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags, 0, 0, 0, 1]) + payload


def opening(head: list[tuple[str, str]], *, flags: int = 5) -> bytes:
    """The first bytes of a client, to the end of the head."""
    block = hpack.Encoder().encode([(name.encode(), value.encode()) for name, value in head])
    return PREFACE + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) + frame(1, flags, block)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
async def test_what_nobody_may_say(serving: Serving, head: list[tuple[str, str]]) -> None:
    async with serving(http()) as proxy:
        client = await proxy.connect()
        await client.say(opening(head))
        await client.exactly(9 + 30 + 9)
        await proxy.quiet()
        assert not proxy.origin.waiting()
        assert proxy.counter("cluster.app.upstream_rq_total") == 0
        assert proxy.counter("http2.rx_messaging_error") == 1
    assert [line["flags"] for line in proxy.log] == ["DPE"]


@pytest.mark.parametrize("body", [b"ab", b"abcd"])
async def test_a_body_of_another_length(serving: Serving, body: bytes) -> None:
    """What went up before that is known is cut, and not taken for a whole request."""
    async with serving(http()) as proxy:
        client = await proxy.connect()
        await client.say(opening([*POST, ("content-length", "3")], flags=4))
        await proxy.play("origin << POST / HTTP/1.1 | host: a.org | content-length: 3 |")
        await client.say(frame(0, 1, body))
        origin = await proxy.party("origin")
        assert len(await origin.rest()) < 3
        assert origin.end == "(reset)"


async def test_trailers_that_frame_or_route_are_malformed(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = H2Peer(await proxy.connect(), client=True)
        await client.flush()
        stream = await client.ask("POST", "/", body=b"abc", ended=False)
        await proxy.play(
            """
            origin << POST / HTTP/1.1 | host: a.org | transfer-encoding: chunked |
            origin << 3 | abc
            """
        )
        await client.trailers(stream, {":path": "/b"})
        assert (await client.answer(stream)).reset == 1
        origin = await proxy.party("origin")
        assert await origin.rest() == b""
        assert origin.end == "(reset)"
