"""WebSockets over HTTP/2 that end because the connection's time is over, and what shares it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from h2_peer import H2Peer
from h2_websockets import FIRST, HTTP2, WEBSOCKETS, connect, switch
from serving import http
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol

from trioproxy.drain.lifetime import Cause

if TYPE_CHECKING:
    from serving import Proxy, Serving

LARGE = bytes(range(256)) * 30
FRAME = Frame(Opcode.BINARY, LARGE).serialize(mask=False)
MASKED = Frame(Opcode.BINARY, LARGE).serialize(mask=True)


def drain(proxy: Proxy, life: float = 0.1) -> None:
    proxy.plane.drain(Cause.SHUTDOWN, 0, life, immediate=True)


def code_and_messages(said: bytes, *, client: bool) -> tuple[int, list[bytes]]:
    protocol = Protocol(CLIENT if client else SERVER)
    protocol.receive_data(said)
    *messages, close = protocol.events_received()
    assert isinstance(close, Frame)
    assert close.opcode is Opcode.CLOSE
    return Close.parse(close.data).code, [m.data for m in messages if isinstance(m, Frame)]


async def test_a_client_and_its_http1_origin_get_a_close_frame(serving: Serving) -> None:
    """A65: over HTTP/2 as over HTTP/1.1."""
    async with serving(http(WEBSOCKETS)) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        stream = await connect(client)
        await switch(proxy)
        await client.until(lambda: client.heard[stream].body == FIRST)
        client.heard[stream].body = b""
        drain(proxy)
        origin = await proxy.party("origin")
        assert code_and_messages(await origin.rest(), client=False) == (1012, [])
        await client.until(lambda: client.heard[stream].ended)
        assert code_and_messages(client.heard[stream].body, client=True) == (1012, [])
        await client.data(stream, b"", ended=True)
        await client.end()
    assert client.heard[stream].reset is None
    assert (proxy.log[0]["status"], proxy.log[0]["flags"]) == (200, None)


async def test_frames_that_are_under_way_are_finished(serving: Serving) -> None:
    """A65: the goodbye stands between two frames, on both streams."""
    async with serving(http(WEBSOCKETS, cluster=HTTP2)) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        stream = await connect(client)
        origin = await H2Peer.greet(await proxy.origin.accept(), client=False)
        number, _ = await origin.asked(ended=False)
        await origin.respond(number, FRAME[:3], ended=False)
        await client.data(stream, MASKED[:1000])
        await origin.until(lambda: len(origin.heard[number].body) == 1000)
        await client.until(lambda: client.heard[stream].body == FRAME[:3])
        drain(proxy, life=1.0)
        await proxy.quiet()
        await origin.data(number, FRAME[3:] + FRAME[:5])
        await client.data(stream, MASKED[1000:] + MASKED[:7])
        await client.until(lambda: client.heard[stream].ended)
        await origin.until(lambda: origin.heard[number].ended)
        to_origin = code_and_messages(origin.heard[number].body, client=False)
        assert code_and_messages(client.heard[stream].body, client=True) == (1012, [LARGE])
        assert to_origin == (1012, [LARGE])


async def test_an_http1_client_of_an_http2_origin_gets_a_close_frame(serving: Serving) -> None:
    async with serving(http(WEBSOCKETS, cluster=HTTP2)) as proxy:
        await proxy.play(
            "client >> GET / HTTP/1.1 | host: a.org | connection: upgrade | upgrade: websocket |"
        )
        origin = await H2Peer.greet(await proxy.origin.accept(), client=False)
        number, _ = await origin.asked(ended=False)
        await origin.respond(number, ended=False)
        client = await proxy.party("client")
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        drain(proxy)
        assert code_and_messages(await client.rest(), client=True) == (1012, [])
        await origin.until(lambda: origin.heard[number].ended)
        assert code_and_messages(origin.heard[number].body, client=False) == (1012, [])


async def test_a_request_beside_a_websocket_ends_first(serving: Serving) -> None:
    """Each stream is bounded by its own rung: a tunnel lives on where a request has to end."""
    async with serving(http(f"drain: {{stream: 1%}}, {WEBSOCKETS}")) as proxy:
        client = await H2Peer.greet(await proxy.connect())
        chat = await connect(client)
        await switch(proxy)
        await client.until(lambda: client.heard[chat].body == FIRST)
        request = await client.ask()
        await proxy.play("origin#2 << GET / HTTP/1.1 | host: a.org |")
        proxy.plane.drain(Cause.SHUTDOWN, 0, 5, immediate=True)
        assert (await client.answer(request)).status == 503
        await client.data(chat, b"still here")
        await proxy.play(r"origin << still here\ ")
