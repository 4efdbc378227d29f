"""How long a worker's loop stands still while all of its connections are told to leave.

The data plane runs in this process, so that each turn of its loop can be timed; its clients are a
process of their own.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import attrs
import trio

from benchmarks.process import BenchError
from trioproxy.server.limits import collect_rarely, raise_descriptor_limit
from trioproxy.testing import Proxy, open_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

CONFIG = """
listeners:
- name: web
  address: 127.0.0.1:80
  filters:
  - http_connection_manager:
      stat_prefix: web
      routes: [{match: {prefix: /}, direct_response: {status: 204}}]
"""
PATIENCE = 60.0  # seconds


@attrs.define(eq=False)
class Turns(trio.abc.Instrument):
    """The longest turn of the loop, in seconds: by the clock, and of the processor's time."""

    elapsed: float = 0.0
    cpu: float = 0.0
    _begun: float = 0.0
    _used: float = 0.0

    def after_io_wait(self, timeout: float) -> None:
        """A turn begins."""
        self._begun, self._used = time.perf_counter(), time.thread_time()

    def before_io_wait(self, timeout: float) -> None:
        """A turn ends."""
        if self._begun:
            self.elapsed = max(self.elapsed, time.perf_counter() - self._begun)
            self.cpu = max(self.cpu, time.thread_time() - self._used)


async def gradually(proxy: Proxy) -> None:
    """What an operator asks for, in so little time that many leave in each turn."""
    proxy.drain(time=8.0)


async def at_once(proxy: Proxy) -> None:
    """The same, all at the same moment."""
    proxy.drain(time=4.0, immediate=True)


async def by_signal(proxy: Proxy) -> None:
    """SIGTERM."""
    await proxy.shutdown(8.0)


WAYS: Mapping[str, Callable[[Proxy], Awaitable[None]]] = {
    "told gradually, within 8 s": gradually,
    "told at once": at_once,
    "SIGTERM, within 8 s": by_signal,
}


def stall(way: str, count: int) -> Turns:
    """Have `count` connections leave; returns the longest turn meanwhile."""
    raise_descriptor_limit()
    collect_rarely()  # as workers do
    return trio.run(_stall, WAYS[way], count)


async def _stall(leave: Callable[[Proxy], Awaitable[None]], count: int) -> Turns:
    turns = Turns()
    async with open_proxy(CONFIG) as proxy, held(proxy.port(), count) as clients:
        trio.lowlevel.add_instrument(turns)
        await trio.lowlevel.checkpoint()
        await leave(proxy)
        with trio.fail_after(PATIENCE):
            await clients.wait()
        trio.lowlevel.remove_instrument(turns)
    return turns


@asynccontextmanager
async def held(port: int, count: int) -> AsyncIterator[trio.Process]:
    """Clients that hold so many connections, and end when all are closed.

    Raises BenchError where one is not answered.
    """
    command = [sys.executable, "-m", "benchmarks.leaving.hold", str(port), str(count)]
    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, command, stdout=subprocess.PIPE)
        clients: trio.Process = await nursery.start(start)
        assert clients.stdout
        said: bytes | bytearray = b""
        with trio.move_on_after(PATIENCE):
            said = await clients.stdout.receive_some()
        if said != b"held\n":
            raise BenchError(f"not all of {count} connections were answered")
        yield clients
        nursery.cancel_scope.cancel()
