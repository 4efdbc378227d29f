"""What a worker reports of its connections."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, cast

import pytest
from serving import http, tcp

from trioproxy.drain.lifetime import Cause
from trioproxy.listener.progress import MOST

if TYPE_CHECKING:
    from serving import Proxy, Serving
    from trio.testing import MockClock

ASK = "GET / HTTP/1.1 | host: a |"
NO_CONTENT = "HTTP/1.1 204 No Content |"
DIRECT = "{match: {prefix: /}, direct_response: {status: 204}}"
UPGRADE = """
    ws >> GET /w HTTP/1.1 | host: a | connection: Upgrade | upgrade: websocket |
    origin << GET /w HTTP/1.1 | host: a | connection: upgrade | upgrade: websocket |
    origin >> HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket |
    ws << HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket |
    """


def listening(proxy: Proxy) -> dict[str, object]:
    """Return what is said of the first listener."""
    (said,) = cast("dict[str, dict[str, object]]", proxy.plane.report()["listeners"]).values()
    return said


def connections(proxy: Proxy) -> list[dict[str, object]]:
    """Return what is said of connections one by one."""
    return cast("list[dict[str, object]]", proxy.plane.report()["connections"])


async def test_connections_by_protocol_and_rung(serving: Serving, mock_clock: MockClock) -> None:
    """A72."""
    async with serving(http("upgrades: [websocket], drain: {notice: 10s, idle: 20s},")) as proxy:
        await proxy.play(UPGRADE.replace("ws", "client#1"))
        await proxy.play(f"client#2 >> {ASK} \n origin#2 << {ASK}")
        await proxy.connect()
        await proxy.quiet()
        assert listening(proxy)["protocols"] == {
            "WebSocket": {"stay": 1},
            "HTTP/1.1": {"stay": 2},
        }
        proxy.plane.drain(Cause.ADMIN, 600.0, 900.0, immediate=True)
        mock_clock.jump(5.0)
        assert listening(proxy) == {
            "open": 3,
            "idle": 1,
            "told": 3,
            "moving": 0,
            "next": 5.0,
            "last": 895.0,
            "protocols": {"WebSocket": {"life": 1}, "HTTP/1.1": {"stream": 1, "idle": 1}},
        }


async def test_who_is_not_told_yet_comes_to_its_notice(
    serving: Serving, mock_clock: MockClock
) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        await proxy.connect()
        await proxy.quiet()
        proxy.plane.drain(Cause.ADMIN, 600.0, inf, immediate=False)
        assert listening(proxy)["protocols"] == {"HTTP/1.1": {"notice": 1}}
        assert listening(proxy)["told"] == 0
        assert 150.0 <= cast("float", listening(proxy)["next"]) < 300.0
        assert "last" not in listening(proxy)  # nobody is ever cut


async def test_a_connection(serving: Serving, mock_clock: MockClock) -> None:
    """Its bytes are those that the kernel has counted."""
    async with serving(tcp("idle_timeout: 60s,")) as proxy:
        await proxy.play(
            "client >> hello\\ \n origin << hello\\ \n origin >> hi\\ \n client << hi\\"
        )
        mock_clock.jump(10.0)
        (said,) = connections(proxy)
        peer = said.pop("peer")
        assert peer == "{}:{}".format(*(await proxy.party("client")).sock.getsockname())
        assert said == {
            "number": 1,
            "listener": "db",
            "protocol": "TCP",
            "age": 10.0,
            "stands": "flow",
            "rung": "stay",
            "due": 50.0,
            "received": 5,
            "sent": 2,
        }


async def test_of_many_the_oldest_are_told_of(serving: Serving, mock_clock: MockClock) -> None:
    async with serving(http(routes=DIRECT)) as proxy:
        for _ in range(MOST + 5):
            await proxy.connect()
            await proxy.quiet()
            mock_clock.jump(1.0)
        ages = [said["age"] for said in connections(proxy)]
        assert ages == list(range(MOST + 5, 5, -1))


async def test_of_those_that_leave_the_last_are_told_of(
    serving: Serving, mock_clock: MockClock
) -> None:
    """A72: who is in the middle of something stays longer than who is idle, however old."""
    async with serving(http()) as proxy:
        for _ in range(MOST):
            await proxy.connect()
        await proxy.play(f"client >> {ASK} \n origin << {ASK}")
        proxy.plane.drain(Cause.SHUTDOWN, 100.0, 200.0, immediate=False)
        first, second, *_ = connections(proxy)
        assert (first["stands"], first["rung"], first["due"]) == ("stream", "notice", 200.0)
        assert second["stands"] == "idle"


@pytest.mark.parametrize("number", [1, 2])
async def test_one_is_closed(serving: Serving, number: int) -> None:
    """Others stay; who is not there is not missed."""
    async with serving(http(routes=DIRECT)) as proxy:
        talk = f"client >> {ASK} \n client << {NO_CONTENT}"
        await proxy.play(talk)
        await proxy.play(talk.replace("client", "client#2"))
        proxy.plane.close(number)
        proxy.plane.close(3)
        names = ["client", "client#2"]
        await proxy.play(f"{names.pop(number - 1)} << (fin)")
        await proxy.play(talk.replace("client", names[0]))


async def test_a_websocket_is_told_that_it_is_closed(serving: Serving) -> None:
    """A65."""
    async with serving(http("upgrades: [websocket],")) as proxy:
        await proxy.play(UPGRADE.replace("ws", "client"))
        proxy.plane.close(1)
        client, origin = await proxy.party("client"), await proxy.party("origin")
        assert await client.exactly(4) == b"\x88\x02\x03\xf4"
        assert (await origin.exactly(8)).startswith(b"\x88\x82")
