"""WebSockets that end because their connection's time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from serving import http
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol

from trioproxy.drain.lifetime import Cause

if TYPE_CHECKING:
    from dialogue import Peer
    from serving import Proxy, Serving

UPGRADE = """
    client >> GET / HTTP/1.1 | host: a | connection: Upgrade | upgrade: websocket |
    origin << GET / HTTP/1.1 | host: a | connection: upgrade | upgrade: websocket |
    origin >> HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket |
    client << HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket |
    """
LARGE = bytes(range(256)) * 300
FRAME = Frame(Opcode.BINARY, LARGE).serialize(mask=False)
MASKED = Frame(Opcode.BINARY, LARGE).serialize(mask=True)


def drain(proxy: Proxy, life: float = 0.1) -> None:
    proxy.plane.drain(Cause.SHUTDOWN, 0, life, immediate=True)


async def code_and_messages(peer: Peer, *, client: bool) -> tuple[int, list[bytes]]:
    """Hear a peer to the end; returns the close code, and what came before it."""
    protocol = Protocol(CLIENT if client else SERVER)
    protocol.receive_data(await peer.rest())
    *messages, close = protocol.events_received()
    assert isinstance(close, Frame)
    assert close.opcode is Opcode.CLOSE
    assert peer.end == "(fin)"
    frames = [each.data for each in messages if isinstance(each, Frame)]
    return Close.parse(close.data).code, [bytes(data) for data in frames]


@pytest.mark.parametrize(("manager", "code"), [("", 1012), ("websocket_close_code: 1001,", 1001)])
async def test_both_sides_get_a_close_frame(serving: Serving, manager: str, code: int) -> None:
    """A65: before the connection is cut."""
    async with serving(http(f"upgrades: [websocket], {manager}")) as proxy:
        await proxy.play(UPGRADE)
        drain(proxy)
        assert await code_and_messages(await proxy.party("client"), client=True) == (code, [])
        assert await code_and_messages(await proxy.party("origin"), client=False) == (code, [])


async def test_a_frame_that_is_under_way_is_finished(serving: Serving) -> None:
    """A65: the goodbye stands between two frames."""
    async with serving(http("upgrades: [websocket],")) as proxy:
        await proxy.play(UPGRADE)
        client, origin = await proxy.party("client"), await proxy.party("origin")
        await origin.say(FRAME[:3])
        await client.say(MASKED[:1000])
        await proxy.quiet()
        drain(proxy, life=1.0)
        await proxy.quiet()
        await origin.say(FRAME[3:] + FRAME[:5])
        await client.say(MASKED[1000:])
        assert await code_and_messages(client, client=True) == (1012, [LARGE])
        assert await code_and_messages(origin, client=False) == (1012, [LARGE])


@pytest.mark.parametrize("said", [FRAME[:3], b"\x82\x7f" + (1 << 62).to_bytes(8, "big") + b"a"])
async def test_who_never_finishes_a_frame_is_cut(
    serving: Serving, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    """However long it may have said that the frame would be."""
    async with serving(http("upgrades: [websocket],")) as proxy:
        await proxy.play(UPGRADE)
        client, origin = await proxy.party("client"), await proxy.party("origin")
        await origin.say(said)
        await proxy.quiet()
        drain(proxy)
        await proxy.quiet()
        await origin.say(b"more")
        assert await client.rest() == said + b"more"
        assert await code_and_messages(origin, client=False) == (1012, [])
    assert not caplog.records


async def test_who_is_told_may_have_more_to_say(serving: Serving) -> None:
    """Neither side is reset for what it said before it heard the close frame."""
    async with serving(http("upgrades: [websocket],")) as proxy:
        await proxy.play(UPGRADE)
        client, origin = await proxy.party("client"), await proxy.party("origin")
        drain(proxy, life=1.0)
        assert await client.exactly(4)
        assert await origin.exactly(8)
        await origin.say(FRAME)
        await client.say(MASKED)
        client.close()
        await proxy.quiet()
        for _ in range(3):
            await origin.say(FRAME)  # raises once it is reset
            await proxy.quiet()


@pytest.mark.parametrize(("who", "other"), [("client", "origin"), ("origin", "client")])
async def test_who_is_reset_meanwhile_ends_it(
    serving: Serving, caplog: pytest.LogCaptureFixture, who: str, other: str
) -> None:
    """The other side hears so at once, and nothing is called a failure."""
    async with serving(http("upgrades: [websocket],")) as proxy:
        await proxy.play(UPGRADE)
        leaving, staying = await proxy.party(who), await proxy.party(other)
        await leaving.say(FRAME[:3])
        await proxy.quiet()
        drain(proxy, life=1.0)
        await proxy.quiet()
        leaving.reset()
        assert await staying.rest() == FRAME[:3]
        assert staying.end == "(fin)"
        staying.close()
    assert proxy.log[0]["flags"] is None
    assert not caplog.records


async def test_what_is_no_websocket_is_just_closed(serving: Serving) -> None:
    connect = "{match: {connect: true}, route: {cluster: app}}"
    async with serving(http("upgrades: [connect],", routes=connect)) as proxy:
        await proxy.play(
            "client >> CONNECT a:1 HTTP/1.1 | host: a:1 | \n client << HTTP/1.1 200 OK |"
        )
        client = await proxy.party("client")
        drain(proxy)
        assert await client.rest() == b""
