"""Clients of HTTP/2 that mean harm: each is ended by GOAWAY, counted, and costs others nothing."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from h2_peer import H2Peer
from serving import http

if TYPE_CHECKING:
    from serving import Proxy, Serving

DIRECT = "{match: {prefix: /}, direct_response: {status: 200, body: hi}}"
ENHANCE_YOUR_CALM = 11
HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 1, 3, 4, 6, 8, 9


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


async def flood(proxy: Proxy, said: bytes) -> H2Peer:
    """Say it until the proxy has had enough; returns the client, who has heard the end."""
    client = await H2Peer.greet(await proxy.connect())
    try:
        await client.peer.say(said)
        await client.end()
    except OSError:  # it was reset while it still talked
        client.peer.end = "(reset)"
    return client


async def check_others(proxy: Proxy) -> None:
    """See that somebody else is served."""
    other = await H2Peer.greet(await proxy.connect())
    assert (await other.answer(await other.ask())).body == b"hi"


@pytest.mark.parametrize(
    ("said", "counter"),
    [
        pytest.param(frame(PING, 0, 0, bytes(8)) * 2000, "outbound_control_flood", id="ping"),
        pytest.param(frame(SETTINGS, 0, 0) * 500, "outbound_control_flood", id="settings"),
        pytest.param(frame(2, 0, 1, bytes(5)) * 2000, "inbound_priority_frames_flood", id="idle"),
        pytest.param(
            frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 3000,
            "inbound_window_update_frames_flood",
            id="window",
        ),
        pytest.param(
            frame(HEADERS, 0, 1, b"\x82") + frame(CONTINUATION, 0, 1) * 100,
            "header_overflow",
            id="continuation",
        ),
    ],
)
async def test_floods_of_frames(serving: Serving, said: bytes, counter: str) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        client = await flood(proxy, said)
        assert [code for _, code in client.goaways] in ([], [ENHANCE_YOUR_CALM])
        assert proxy.counter(f"http2.{counter}") == 1
        assert proxy.counter("http.web.downstream_cx_protocol_error") == 1
        await check_others(proxy)


async def test_streams_that_are_opened_and_reset(serving: Serving) -> None:
    """The rapid reset: no request of it reaches an upstream in vain for long."""
    async with serving(http()) as proxy:
        client = H2Peer(await proxy.connect(), client=True)
        fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
        for number in range(1, 2001, 2):
            client.h2.send_headers(number, fields, end_stream=True)
            client.h2.reset_stream(number)
        with_all = client.h2.data_to_send()
        try:
            await client.peer.say(with_all)
            await client.end()
        except OSError:
            pass
        assert proxy.counter("http2.inbound_resets_flood") == 1
        assert proxy.counter("http.web.downstream_rq_total") <= 201
        assert proxy.counter("cluster.app.upstream_rq_total") == 0


async def test_more_streams_than_allowed_are_refused(serving: Serving) -> None:
    async with serving(http("http2_options: {max_concurrent_streams: 2},")) as proxy:
        client = H2Peer(await proxy.connect(), client=True)
        fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
        for number in (1, 3, 5):
            client.h2.send_headers(number, fields, end_stream=True)
        await client.flush()
        await client.until(lambda: client.heard[5].reset == 7 if 5 in client.heard else False)
        assert proxy.gauge("http2.streams_active") == 2
        for number in (1, 3):
            await client.reset(number)


async def test_heads_that_grow_when_they_are_unpacked(serving: Serving) -> None:
    """A large field in the HPACK table, named over and over: a few bytes each time."""
    async with serving(http(routes=DIRECT)) as proxy:
        client = H2Peer(await proxy.connect(), client=True)
        fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
        bomb = [("x-bomb", "b" * 3000)] * 60
        client.h2.send_headers(1, [*fields, *bomb], end_stream=True)
        await client.flush()
        assert (await client.answer(1)).status == 431
        assert proxy.counter("http2.header_overflow") == 1
        await check_others(proxy)


async def test_a_client_that_reads_nothing_is_soon_not_read_either(serving: Serving) -> None:
    """Neither does memory grow with what it asks, nor may it stay."""
    redirect = "{match: {prefix: /}, redirect: {host: b.org}}"
    path = b"/" + b"p" * 3000
    ask = b"\x02\x04HEAD\x86" + b"\x41\x01a" + b"\x44" + encoded(len(path)) + path
    again = b"\x02\x04HEAD\x86\xbf\xbe"  # what the table has: 9 bytes that have 3000 answer
    async with serving(http("stream_idle_timeout: 300ms,", routes=redirect)) as proxy:
        client = H2Peer(await proxy.connect(buffer=4096), client=True)
        client.peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await client.flush()
        number, asked, served = 1, 0, -1
        while served != (served := proxy.counter("http.web.downstream_rq_total")):
            assert asked < 20_000
            said = b""
            for _ in range(50):
                said += frame(HEADERS, 5, number, ask if number == 1 else again)
                number += 2
            asked += 50
            client.peer.say_at_once(said)
            await proxy.quiet()
        await proxy.empty()
        assert proxy.counter("http.web.downstream_cx_idle_timeout") == 1


def encoded(size: int) -> bytes:
    """Return the length of a string of HPACK; at least 127."""
    size -= 127
    return bytes([127, size & 127 | 128, size >> 7])
