"""CONNECT on a stream, and WebSockets over HTTP/2 (RFC 8441), in every combination of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from h2_peer import H2Peer
from h2_websockets import FIRST, HTTP2, WEBSOCKETS, accept, connect, switch
from serving import http

if TYPE_CHECKING:
    from serving import Serving


async def test_a_websocket_to_an_http1_upstream(serving: Serving) -> None:
    async with serving(http(WEBSOCKETS)) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        stream = await connect(client, sec_websocket_version="13")
        await switch(proxy)
        await client.until(lambda: client.heard[stream].body == FIRST)
        assert client.heard[stream].headers == {":status": "200", "sec-websocket-protocol": "x"}
        await client.data(stream, b"to the origin")
        await proxy.play(r"origin << to the origin\ ")
        await proxy.play(r"origin >> and back\ ")
        await client.until(lambda: client.heard[stream].body == FIRST + b"and back")
        assert proxy.gauge("http.web.downstream_cx_upgrades_active") == 1
        await client.data(stream, b"", ended=True)
        await proxy.play("origin << (fin)")
        await proxy.play("origin >> (close)")
        assert (await client.answer(stream)).reset is None
    assert proxy.log[0] == {
        "method": "GET", "path": "/chat", "protocol": "HTTP/2", "status": 200, "flags": None,
        "details": "via_upstream", "received": 13, "sent": 15, "host": proxy.origin.name,
        "failure": None, "attempts": 1,
    }  # fmt: skip


async def test_a_websocket_whose_key_is_not_answered_is_none(serving: Serving) -> None:
    async with serving(http(WEBSOCKETS)) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        stream = await connect(client)
        await switch(proxy, key="another")
        assert (await client.answer(stream)).status == 502


async def test_a_success_that_does_not_switch_is_none(serving: Serving) -> None:
    async with serving(http(WEBSOCKETS)) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        stream = await connect(client)
        origin = await proxy.party("origin")
        await origin.head()
        await origin.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
        answer = await client.answer(stream)
        assert answer.status == 502


async def test_a_refusal_of_the_upstream_comes_down(serving: Serving) -> None:
    async with serving(http(WEBSOCKETS)) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        stream = await connect(client)
        origin = await proxy.party("origin")
        await origin.head()
        await origin.say(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
        answer = await client.answer(stream)
        assert (answer.status, answer.body) == (403, b"no")


@pytest.mark.parametrize("upgrades", ["", "upgrades: [connect],"])
async def test_an_upgrade_that_is_not_served_is_refused(serving: Serving, upgrades: str) -> None:
    async with serving(http(upgrades)) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        stream = await connect(client)
        answer = await client.answer(stream)
        assert answer.reset == 1 or answer.status == 405  # the setting did not allow it
        assert not proxy.origin.waiting()


async def test_a_tunnel_by_connect(serving: Serving) -> None:
    routes = "{match: {connect: true}, route: {cluster: app}}"
    async with serving(http("upgrades: [connect],", routes=routes)) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        number = client.h2.get_next_available_stream_id()
        await client.begin(number, [(":method", "CONNECT"), (":authority", "b:1")], ended=False)
        await client.until(lambda: bool(client.heard[number].headers))
        assert client.heard[number].headers == {":status": "200"}
        await client.data(number, b"ping")
        await proxy.play(
            r"""
            origin << ping\
            origin >> pong\
            """
        )
        await client.until(lambda: client.heard[number].body == b"pong")
        await client.reset(number)
        await proxy.play("origin << (reset)")


async def test_a_websocket_to_an_http2_upstream(serving: Serving) -> None:
    async with serving(http(WEBSOCKETS, cluster=HTTP2)) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        stream = await connect(client)
        origin = await H2Peer.greet(await proxy.origin.accept(), client=False)
        number, asked = await origin.asked(ended=False)
        assert asked.headers[":method"] == "CONNECT"
        assert asked.headers[":protocol"] == "websocket"
        assert asked.headers[":path"] == "/chat"
        assert "sec-websocket-key" not in asked.headers
        await origin.respond(number, b"hello", ended=False)
        await client.until(lambda: client.heard[stream].body == b"hello")
        assert client.heard[stream].headers == {":status": "200"}
        await client.data(stream, b"frames", ended=True)
        await origin.until(lambda: origin.heard[number].ended)
        assert origin.heard[number].body == b"frames"
        await origin.data(number, b"", ended=True)
        assert (await client.answer(stream)).reset is None


async def test_a_websocket_of_http1_to_an_http2_upstream(serving: Serving) -> None:
    async with serving(http(WEBSOCKETS, cluster=HTTP2)) as proxy:
        await proxy.play(
            """
            client >> GET /chat HTTP/1.1 | host: a.org | connection: upgrade | upgrade: websocket \\
            client >> | sec-websocket-key: a2V5 |
            """
        )
        origin = await H2Peer.greet(await proxy.origin.accept(), client=False)
        number, asked = await origin.asked(ended=False)
        assert asked.headers[":method"] == "CONNECT"
        await origin.respond(number, b"hello", ended=False)
        client = await proxy.party("client")
        head = (await client.head()).decode()
        assert head.startswith("HTTP/1.1 101 ")
        assert f"sec-websocket-accept: {accept('a2V5')}\r\n" in head
        assert await client.exactly(5) == b"hello"
        await client.say(b"frames")
        client.finish()
        await origin.until(lambda: origin.heard[number].ended)
        assert origin.heard[number].body == b"frames"
        await origin.data(number, b"bye", ended=True)
        assert await client.rest() == b"bye"


async def test_an_http2_upstream_without_websockets_is_said_to_be_so(serving: Serving) -> None:
    async with serving(http(WEBSOCKETS, cluster=HTTP2)) as proxy:
        await proxy.play(
            """
            client >> GET /chat HTTP/1.1 | host: a.org | connection: upgrade | upgrade: websocket |
            """
        )
        peer = await proxy.origin.accept()
        origin = H2Peer(peer, client=False)
        origin.h2.local_settings[8] = 0
        origin.h2.local_settings.acknowledge()
        await peer.say(bytes(3) + b"\x04" + bytes(5))  # empty SETTINGS
        client = await proxy.party("client")
        assert (await client.head()).startswith(b"HTTP/1.1 502 ")
