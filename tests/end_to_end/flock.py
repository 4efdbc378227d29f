"""Upstreams that come and go on one port of 127.0.0.1, .2, .3 and so on, and who asks for them."""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import trio
import trio.testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Mood = Callable[[trio.SocketStream, bytes, bytes], Awaitable[None]]

PATIENCE = 20.0  # seconds


async def well(stream: trio.SocketStream, head: bytes, body: bytes) -> None:
    """Answer a request as a healthy member does."""
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


class Flock:
    """Each member answers every request with its number, unless another one of `moods` has it.

    `connections` counts those that each member has accepted.
    """

    def __init__(self, nursery: trio.Nursery, port: int) -> None:
        self.port = port
        self.living: dict[int, trio.CancelScope] = {}
        self.moods: dict[int, Mood] = {}
        self.connections: Counter[int] = Counter()
        self._nursery = nursery

    def name(self, number: int) -> str:
        """Return the address of a member."""
        return f"127.0.0.{number}:{self.port}"

    async def rise(self, *numbers: int) -> None:
        """Have these members serve."""
        for number in numbers:
            await self._nursery.start(self._live, number)

    async def fall(self, *numbers: int) -> None:
        """Kill these members, with whatever they do at the time."""
        for number in numbers:
            self.living.pop(number).cancel()
        await trio.testing.wait_all_tasks_blocked()

    async def _live(self, number: int, *, task_status: trio.TaskStatus[None]) -> None:
        listeners = await trio.open_tcp_listeners(self.port, host=f"127.0.0.{number}")

        async def answer(stream: trio.SocketStream) -> None:
            self.connections[number] += 1
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                received = b""
                async for data in stream:
                    received += data
                    while b"\r\n\r\n" in received:
                        head, _, received = received.partition(b"\r\n\r\n")
                        mood = self.moods.get(number, well)
                        await mood(stream, head, str(number).encode())

        with trio.CancelScope() as self.living[number]:
            task_status.started()
            await trio.serve_listeners(answer, listeners)


class Crowd:
    """Clients that ask again and again, each on a connection of its own; what went wrong stays."""

    def __init__(self, port: int) -> None:
        self.seen: Counter[str] = Counter()
        self.failures: list[str] = []
        self._port = port
        self._answered = trio.lowlevel.ParkingLot()

    async def ask(self) -> None:
        """Ask until cancelled, every seventh time on a new connection."""
        while True:
            stream = await trio.open_tcp_stream("127.0.0.1", self._port)
            async with stream:
                for _ in range(7):
                    self._note(await one_answer(stream))

    def _note(self, answer: str) -> None:
        head, _, body = answer.partition("\r\n\r\n")
        if head.startswith("HTTP/1.1 200 "):
            self.seen[body] += 1
        else:
            self.failures.append(answer)
        self._answered.unpark_all()

    async def sees(self, *numbers: int) -> None:
        """Wait until answers come from all of these from now on, and from nobody else."""
        wanted = {str(number) for number in numbers}
        with trio.fail_after(PATIENCE):
            while True:
                self.seen.clear()
                while sum(self.seen.values()) < 40 * len(wanted) and not self.failures:
                    await self._answered.park()
                if self.failures or self.seen.keys() == wanted:
                    return


async def one_answer(stream: trio.SocketStream) -> str:
    """Ask once; returns all of the answer."""
    await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    received = b""
    while not is_whole(received):
        data = await stream.receive_some()
        if not data:
            return f"closed after {received!r}"
        received += data
    return received.decode()


def is_whole(answer: bytes) -> bool:
    """Tell whether all of an answer is here."""
    head, end, body = answer.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= sum(int(line.partition(b":")[2]) for line in lengths)


@asynccontextmanager
async def open_flock() -> AsyncIterator[Flock]:
    """A flock on a port that is free on every address, with nobody in it."""
    async with trio.open_nursery() as nursery:
        with socket.create_server(("", 0)) as probe:
            port = probe.getsockname()[1]
        yield Flock(nursery, port)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_crowd(port: int, clients: int = 4) -> AsyncIterator[Crowd]:
    """Clients that ask within the block."""
    crowd = Crowd(port)
    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(crowd.ask)
        yield crowd
        nursery.cancel_scope.cancel()
