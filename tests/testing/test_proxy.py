from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioproxy.config.problems import ConfigError
from trioproxy.testing import open_proxy, open_upstream

if TYPE_CHECKING:
    from pathlib import Path

    from trio.testing import MockClock

    from trioproxy.testing import Proxy

DRAIN = "drain: {time: 100s, parent_shutdown_time: 200s}"
WEB = """
- name: web
  address: 192.0.2.1:80
  filters:
  - http_connection_manager:
      stat_prefix: web
      routes: [{match: {prefix: /}, direct_response: {status: 200, body: %s}}]
"""
LINES = """
- name: lines
  address: "[::]:7000"
  filters: [{tcp_proxy: {stat_prefix: lines, cluster: %s}}]
"""
CLUSTERS = (
    "clusters: [{name: far, endpoints: [192.0.2.9:1]}, {name: own, endpoints: [192.0.2.1:80]}]"
)
ACTIVE = "listener.192.0.2.1_80.downstream_cx_active"


def config(*listeners: str, more: str = "") -> str:
    return "\n".join([DRAIN, more, "listeners:", *listeners, CLUSTERS])


BOTH = config(WEB % "old", LINES % "far")


async def ask(stream: trio.SocketStream) -> str:
    await stream.send_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    return (await stream.receive_some()).decode().rpartition("\r\n\r\n")[2]


async def echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)


async def refused(proxy: Proxy, port: int) -> bool:
    try:
        await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
    except OSError:
        return True
    return False


async def test_listeners_have_ports_of_their_own_on_loopback() -> None:
    async with open_upstream(echo) as port, open_proxy(BOTH, {"far": port}) as proxy:
        assert await ask(await proxy.connect()) == "old"
        assert proxy.url == f"http://127.0.0.1:{proxy.port('web')}"
        lines = await proxy.connect("lines")
        await lines.send_all(b"hello")
        assert await lines.receive_some() == b"hello"
        assert proxy.stat(ACTIVE) == 1
        with pytest.raises(KeyError):
            proxy.stat("no.such.statistic")


async def test_a_cluster_may_lead_to_a_listener_of_the_same_configuration() -> None:
    async with open_proxy(config(WEB % "own", LINES % "own")) as proxy:
        assert await ask(await proxy.connect("lines")) == "own"


async def test_a_cluster_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no cluster is called nowhere"):
        async with open_proxy(BOTH, {"nowhere": 1}):
            pass


async def test_what_fails_in_the_test_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_proxy(BOTH):
            raise ZeroDivisionError


async def test_a_restart_with_another_configuration(autojump_clock: MockClock) -> None:
    async with open_proxy(BOTH) as proxy:
        client, lines = await proxy.connect(), proxy.port("lines")
        assert await ask(client) == "old"
        old = await proxy.restart(config(WEB % "new"))
        await old.gone.wait()
        assert trio.current_time() < 1
        assert await ask(client) == "new"
        assert await ask(await proxy.connect()) == "new"
        assert await refused(proxy, lines)
        assert proxy.stat(ACTIVE) == 2
        assert [each.epoch for each in proxy.generations] == [1]


async def test_a_mistake_in_the_next_configuration_changes_nothing() -> None:
    async with open_proxy(BOTH) as proxy:
        with pytest.raises(ConfigError):
            await proxy.restart("listeners: 7")
        assert await ask(await proxy.connect()) == "old"
        assert [each.epoch for each in proxy.generations] == [0]


async def test_who_does_not_move_is_ended_by_the_shorter_time(autojump_clock: MockClock) -> None:
    """A67: the child's drain settings are not those of the parent's drain."""
    staying = config(LINES % "far", more="admin: null").replace("200s", "200s, hand_over: false")
    longer = staying.replace("200s", "300s").replace("100s", "1s")
    async with open_upstream(echo) as port, open_proxy(staying, {"far": port}) as proxy:
        client = await proxy.connect()
        await wait_all_tasks_blocked()
        begun = trio.current_time()
        old = await proxy.restart(longer)
        await trio.sleep(150)
        assert old.connections == 1
        assert await client.receive_some() == b""
        assert 200 <= trio.current_time() - begun < 201
        await old.gone.wait()
        assert trio.current_time() - begun < 201


async def test_the_last_but_one_has_10_seconds(autojump_clock: MockClock) -> None:
    """A31: no more than two generations serve."""
    staying = BOTH.replace("200s", "200s, hand_over: false")
    async with open_upstream(echo) as port, open_proxy(staying, {"far": port}) as proxy:
        await proxy.connect("lines")
        await wait_all_tasks_blocked()
        first = await proxy.restart()
        begun = trio.current_time()
        second = await proxy.restart()
        assert first.gone.is_set()
        assert 9.9 < trio.current_time() - begun < 10.5
        await second.gone.wait()
        assert [each.epoch for each in proxy.generations] == [2]


async def test_a_drain_begins_and_is_withdrawn(autojump_clock: MockClock) -> None:
    """A62: who was told goes on leaving, who was not stays."""
    async with open_proxy(BOTH) as proxy:
        for _ in range(40):
            await proxy.connect()
        await wait_all_tasks_blocked()
        proxy.drain()
        await trio.sleep(12.5)
        told = proxy.serving.told
        assert 10 <= told <= 30
        proxy.undrain()
        await trio.sleep(100)
        assert proxy.serving.connections == 40 - told
        proxy.drain(time=8, immediate=True)
        assert proxy.serving.told == 40 - told
        await trio.sleep(2.5)
        assert proxy.serving.connections == 0


async def test_a_shutdown_takes_as_long_as_it_is_configured_to(autojump_clock: MockClock) -> None:
    slow = config(LINES % "far", more="shutdown: {time: 30s, lame_duck: 5s}")
    async with open_upstream(echo) as port, open_proxy(slow, {"far": port}) as proxy:
        client, place = await proxy.connect(), proxy.port()
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            begun = trio.current_time()
            nursery.start_soon(proxy.shutdown)
            await trio.sleep(4)
            assert not await refused(proxy, place)
            await trio.sleep(2)
            assert await refused(proxy, place)
            assert await client.receive_some() == b""
            assert 35 <= trio.current_time() - begun < 36
        assert not proxy.generations


async def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text(BOTH)
    async with open_proxy(path) as proxy:
        assert await ask(await proxy.connect()) == "old"


async def test_a_cluster_that_would_be_discovered_has_a_stand_in_or_no_hosts() -> None:
    found = "discovery: {strict_dns: {address: app.internal:80}}"
    clusters = f"clusters: [{{name: far, {found}}}, {{name: own, {found}}}]"
    listeners = [LINES % "far", (LINES % "own").replace("lines", "more").replace("7000", "7001")]
    text = "\n".join([DRAIN, "listeners:", *listeners, clusters])
    async with open_upstream(echo) as port, open_proxy(text, {"far": port}) as proxy:
        there = await proxy.connect("lines")
        await there.send_all(b"hello")
        assert await there.receive_some() == b"hello"
        nobody = await proxy.connect("more")
        assert await nobody.receive_some() == b""
