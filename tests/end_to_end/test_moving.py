"""Sessions that outlive the generations of the real proxy that they go through."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import pytest
import trio
from instances import Instance
from sites import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

CONFIG = """\
drain: {{time: 600s, parent_shutdown_time: 600s}}
listeners:
- name: db
  address: 127.0.0.1:{db}
  filters: [{{tcp_proxy: {{stat_prefix: db, cluster: echo}}}}]
- name: web
  address: 127.0.0.1:{web}
  filters:
  - http_connection_manager:
      stat_prefix: web
      upgrades: [websocket]
      routes:
      - {{match: {{prefix: /talk}}, route: {{cluster: echo}}}}
      - {{match: {{prefix: /}}, direct_response: {{status: 204}}}}
clusters:
- {{name: echo, endpoints: [127.0.0.1:{origin}]}}
"""
UPGRADE = b"GET /talk HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
ASK = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
PIECE = 10_000
SESSIONS = 6
RESTARTS = (1, 3, 2, 2)


class Generations:
    """Generations that follow each other, each with its own number of workers."""

    def __init__(self, directory: Path) -> None:
        self.db, self.web, self.origin = free_port(), free_port(), free_port()
        self._all: list[Instance] = []
        self._directory = directory
        ports = {"db": self.db, "web": self.web, "origin": self.origin}
        (directory / "proxy.yaml").write_text(CONFIG.format(**ports))

    def serve(self, workers: int) -> None:
        """Begin the next generation; returns when it serves and the one before is gone."""
        paths = ["-c", f"{self._directory}/proxy.yaml", "--socket-path", f"{self._directory}/c"]
        numbers = ["--concurrency", str(workers), "--restart-epoch", str(len(self._all))]
        generation = Instance([sys.executable, "-m", "trioproxy", *paths, *numbers])
        self._all.append(generation)
        generation.wait_serving()
        for before in self._all[-2:-1]:
            assert before.wait_gone() == 0

    def close(self) -> None:
        for generation in self._all:
            generation.kill_all()


@pytest.fixture
def generations(tmp_path: Path) -> Iterator[Generations]:
    generations = Generations(tmp_path)
    yield generations
    generations.close()


async def echo(stream: trio.SocketStream) -> None:
    """Say everything again, and what it began with if that was an upgrade."""
    first = await stream.receive_some()
    if bytes(first).startswith(b"GET"):
        await stream.send_all(SWITCHED)
    else:
        await stream.send_all(first)
    async for data in stream:
        await stream.send_all(data)


async def talk(stream: trio.SocketStream, enough: trio.Event) -> int:
    """Say random bytes and hear them again until it is enough; returns how many they were."""
    rng, count = random.Random(1), 0
    while not enough.is_set():
        said = rng.randbytes(rng.randrange(1, PIECE))
        await stream.send_all(said)
        assert await exactly(stream, len(said)) == said
        count += len(said)
    await stream.send_eof()
    assert await stream.receive_some() == b""
    return count


async def upgraded(stream: trio.SocketStream, enough: trio.Event) -> int:
    """Talk as somebody who has upgraded the connection."""
    await stream.send_all(UPGRADE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await stream.receive_some(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return await talk(stream, enough)


async def ask(stream: trio.SocketStream, enough: trio.Event) -> int:
    """Ask again and again, on one connection."""
    count = 0
    while not enough.is_set():
        await stream.send_all(ASK)
        assert await exactly(stream, len(ANSWER)) == ANSWER
        count += 1
    return count


async def sleep(stream: trio.SocketStream, enough: trio.Event) -> int:
    """Ask once, and once more at the end."""
    for _ in range(2):
        await stream.send_all(ASK)
        assert await exactly(stream, len(ANSWER)) == ANSWER
        await enough.wait()
    return 2


async def exactly(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = await stream.receive_some(count - len(data))
        assert piece, "the connection ended"
        data += piece
    return data


async def test_sessions_outlive_generations(generations: Generations) -> None:
    """A50, A51, A52, A35: each generation leaves at once, for nobody is left in it."""
    generations.serve(2)
    enough, done = trio.Event(), list[int]()

    async def session(
        port: int, client: Callable[[trio.SocketStream, trio.Event], Awaitable[int]]
    ) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            done.append(await client(stream, enough))

    listeners = await trio.open_tcp_listeners(generations.origin, host="127.0.0.1")
    async with trio.open_nursery() as origin:
        origin.start_soon(trio.serve_listeners, echo, listeners)
        async with trio.open_nursery() as sessions:
            for _ in range(SESSIONS):
                sessions.start_soon(session, generations.db, talk)
                sessions.start_soon(session, generations.web, upgraded)
                sessions.start_soon(session, generations.web, ask)
                sessions.start_soon(session, generations.web, sleep)
            for workers in RESTARTS:
                await trio.to_thread.run_sync(generations.serve, workers)
            enough.set()
        origin.cancel_scope.cancel()
    assert len(done) == 4 * SESSIONS
