"""What clients see of drains, on real sockets: hours of them, on a clock that jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioproxy.testing import open_proxy, open_upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from trio.testing import MockClock

    from trioproxy.testing import Proxy

CONFIG = """
drain: {{time: {time}, parent_shutdown_time: 900s{drain}}}
listeners:
- name: web
  address: 127.0.0.1:80
  {listener}
  filters:
  - http_connection_manager:
      stat_prefix: web
      {manager}
      routes:
      - {{match: {{prefix: /slow}}, route: {{cluster: slow, timeout: 0s}}}}
      - {{match: {{prefix: /}}, direct_response: {{status: 204}}}}
- name: lines
  address: 127.0.0.1:7000
  filters: [{{tcp_proxy: {{stat_prefix: lines, cluster: slow, {tcp}}}}}]
clusters:
- {{name: slow, endpoints: [192.0.2.1:1]}}
"""
ASK = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
STAY = b"HTTP/1.1 204 No Content\r\n\r\n"
LEAVE = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
LATE = 0.5  # seconds: the sweep's and the clients' grain
CLIENTS = 100


def config(
    time: str = "600s", drain: str = "", listener: str = "", manager: str = "", tcp: str = ""
) -> str:
    return CONFIG.format(
        time=time, drain=drain and f", {drain}", listener=listener, manager=manager, tcp=tcp
    )


async def echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)


class Watch:
    """When things happen, in seconds from the beginning of the drain."""

    def __init__(self) -> None:
        self.begun = trio.current_time()
        self.times: list[float] = []

    def note(self) -> None:
        self.times.append(trio.current_time() - self.begun)


async def told(client: trio.SocketStream, watch: Watch, pause: float) -> None:
    """Ask again and again, and note when it is the last time."""
    await client.send_all(ASK)
    while await client.receive_some() == STAY:
        await trio.sleep(pause)
        await client.send_all(ASK)
    watch.note()


async def closed(client: trio.SocketStream, watch: Watch) -> None:
    """Wait for the end, and note when it comes."""
    assert await client.receive_some() == b""
    watch.note()


async def everybody(
    proxy: Proxy, listener: str, watched: Callable[[trio.SocketStream], Awaitable[None]]
) -> None:
    """Connect clients, begin to drain, and watch each of them."""
    clients = [await proxy.connect(listener) for _ in range(CLIENTS)]
    await wait_all_tasks_blocked()
    async with trio.open_nursery() as nursery:
        proxy.drain()
        for client in clients:
            nursery.start_soon(watched, client)


async def ramp(seed: int) -> list[float]:
    async with open_proxy(config(), seed=seed) as proxy:
        watch = Watch()
        await everybody(proxy, "web", lambda client: told(client, watch, 5.0))
        return sorted(watch.times)


async def test_more_and_more_are_told(autojump_clock: MockClock) -> None:
    """A60: from 0 to 1 over a quarter of the drain time, and with the same seed the same again."""
    times = await ramp(1)
    assert len(times) == CLIENTS
    for rank, time in enumerate(times):
        assert abs(time - 150 * rank / CLIENTS) < 25
    assert max(times) <= 155 + LATE
    assert await ramp(1) == times


async def test_the_first_answer_says_so_if_it_is_immediate(autojump_clock: MockClock) -> None:
    """A60."""
    async with open_proxy(config(drain="strategy: immediate")) as proxy:
        watch = Watch()
        await everybody(proxy, "web", lambda client: told(client, watch, 5.0))
        assert watch.times == [0.0] * CLIENTS
        assert proxy.stat("http.web.downstream_cx_drain_close") == CLIENTS


@pytest.mark.parametrize("seconds", [1, 10, 600])
async def test_who_is_idle_leaves_in_time(autojump_clock: MockClock, seconds: int) -> None:
    """A63: spread, and each after its notice, however short the time is."""
    async with open_proxy(config(time=f"{seconds}s")) as proxy:
        watch = Watch()
        await everybody(proxy, "web", lambda client: closed(client, watch))
    tenth = seconds / 40
    assert len(watch.times) == CLIENTS
    assert seconds / 4 <= min(watch.times)
    assert max(watch.times) <= seconds / 2 + LATE
    for begin in range(10):
        after = seconds / 4 + begin * tenth
        assert len([each for each in watch.times if after <= each < after + tenth]) <= 25


SCHEDULES: Mapping[str, tuple[dict[str, str], float, float]] = {
    "of the server": ({"drain": "notice: 50%, idle: 100%"}, 300, 600),
    "of the listener": ({"drain": "idle: 99%", "listener": "drain: {idle: 35%}"}, 150, 210),
    "of the filter": (
        {"listener": "drain: {notice: 90%}", "manager": "drain: {notice: 10s, idle: 20s}"},
        10,
        20,
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
async def test_each_place_has_its_own_schedule(autojump_clock: MockClock, name: str) -> None:
    """A61."""
    where, first, last = SCHEDULES[name]
    async with open_proxy(config(**where)) as proxy:
        watch = Watch()
        await everybody(proxy, "web", lambda client: closed(client, watch))
    assert first <= min(watch.times) < first + (last - first) / 4
    assert last - (last - first) / 4 < max(watch.times) <= last + LATE


async def talk(client: trio.SocketStream, seconds: int) -> None:
    """Say something each second, and hear it."""
    for number in range(seconds):
        await client.send_all(b"%d" % number)
        assert await client.receive_some() == b"%d" % number
        await trio.sleep(1)


async def test_a_tcp_session_is_left_alone_until_its_life_ends(autojump_clock: MockClock) -> None:
    """A66, A67: 900 s are the parent's; that the child has less to drain with is no matter."""
    staying = config(tcp="drain: {hand_over: false}")
    async with open_upstream(echo) as port, open_proxy(staying, {"slow": port}) as proxy:
        client = await proxy.connect("lines")
        await talk(client, 1)
        watch = Watch()
        await proxy.restart(config(time="1s", drain="strategy: immediate, life: 5%"))
        await talk(client, 899)
        await closed(client, watch)
        assert 900 <= watch.times[0] <= 900 + LATE


async def test_with_a_quiet_time_it_leaves_in_a_gap(autojump_clock: MockClock) -> None:
    """A66: not before its notice, and not while it talks."""
    quiet = config(tcp="drain: {quiet: 2s}")
    async with open_upstream(echo) as port, open_proxy(quiet, {"slow": port}) as proxy:
        silent, talking = await proxy.connect("lines"), await proxy.connect("lines")
        await talk(silent, 1)
        watch = Watch()
        proxy.drain()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(closed, silent, watch)
            await talk(talking, 400)
            await closed(talking, watch)
    first, last = watch.times
    assert 0 < first <= 152 + LATE
    assert 401 <= last <= 402 + LATE


async def test_the_parents_settings_are_those_of_its_drain(autojump_clock: MockClock) -> None:
    """A67: what the child would do with its own connections is no matter."""
    staying = "hand_over: false"
    async with open_proxy(config(time="100s", drain=staying)) as proxy:
        watch = Watch()
        clients = [await proxy.connect() for _ in range(CLIENTS)]
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            await proxy.restart(config(time="0s", drain="strategy: immediate"))
            for client in clients:
                nursery.start_soon(closed, client, watch)
    assert 25 <= min(watch.times) < 30
    assert 45 < max(watch.times) <= 50 + LATE


async def test_without_a_drain_time_all_is_said_at_once(autojump_clock: MockClock) -> None:
    """A67: 0 is immediate, and what is in flight is finished."""
    slow = trio.Event()

    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await slow.wait()
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")

    nothing = config(time="0s", drain="hand_over: false")
    async with open_upstream(answer) as port, open_proxy(nothing, {"slow": port}) as proxy:
        idle, busy = await proxy.connect(), await proxy.connect()
        await busy.send_all(ASK.replace(b"/", b"/slow", 1))
        await wait_all_tasks_blocked()
        watch = Watch()
        await proxy.restart()
        await closed(idle, watch)
        assert watch.times[0] <= LATE
        await trio.sleep(250)
        slow.set()
        heard = b"".join([data async for data in busy])
        assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nconnection: close\r\n" in heard
        assert heard.endswith(b"\r\n\r\nhi")


async def test_ten_minutes_of_everything(autojump_clock: MockClock) -> None:
    """A73, A54: nobody loses anything, and each leaves when its rung comes."""

    async def count(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 600\r\n\r\n")
        for _ in range(600):
            await trio.sleep(1)
            await stream.send_all(b".")

    async def download(client: trio.SocketStream) -> None:
        heard = b"".join([data async for data in client])
        assert heard.endswith(b"\r\n\r\n" + 600 * b".")
        downloads.note()

    staying = config(drain="hand_over: false")
    async with open_upstream(count) as port, open_proxy(staying, {"slow": port}) as proxy:
        asking, idle, downloads = Watch(), Watch(), Watch()
        async with trio.open_nursery() as nursery:
            for _ in range(CLIENTS // 2):
                busy = await proxy.connect()
                await busy.send_all(ASK.replace(b"/", b"/slow", 1))
                nursery.start_soon(download, busy)
                nursery.start_soon(closed, await proxy.connect(), idle)
                nursery.start_soon(told, await proxy.connect(), asking, 5.0)
            await wait_all_tasks_blocked()
            old = await proxy.restart()
        await old.gone.wait()
        assert max(asking.times) <= 155 + LATE
        assert 150 <= min(idle.times) <= max(idle.times) <= 300 + LATE
        assert downloads.times == pytest.approx([600.0] * (CLIENTS // 2), abs=LATE)
        assert proxy.stat("http.web.downstream_rq_5xx") == 0
        assert proxy.stat("http.web.downstream_rq_tx_reset") == 0
