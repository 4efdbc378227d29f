"""A drain of a real process as its clients see it: who is told when, who is closed when."""

from __future__ import annotations

import sys
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import attrs
import trio

from benchmarks.origin import free_ports
from benchmarks.process import BenchError, running, wait_until
from soak.clients import GET
from soak.peer import Ended
from soak.secure import connect

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from soak.peer import Peer

CONFIG = """
admin: {{address: 127.0.0.1:{admin}}}
drain: {{time: {time}s, strategy: {strategy}}}
listeners:
- name: web
  address: 127.0.0.1:{web}
  filters:
  - http_connection_manager:
      stat_prefix: web
      routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: ok}}}}]
"""
SHARE = 0.55  # of the drain time: by then all who are idle are gone
PAUSE = 0.2  # seconds between two requests
START = 10.0  # seconds that the proxy has to begin


@attrs.define
class Ramp:
    """When clients were told, and when idle ones were closed, as shares of the drain time."""

    told: list[float] = attrs.field(factory=list)
    closed: list[float] = attrs.field(factory=list)


@attrs.frozen
class Drain:
    """A drain of so many seconds, and so many clients that ask, and as many that do not."""

    strategy: str
    time: float
    clients: int

    def measure(self, directory: Path, core: int) -> Ramp:
        """Start a proxy, drain it, and watch; raises BenchError where clients are left."""
        web, admin = free_ports(2)
        ports = {"web": web, "admin": admin}
        text = CONFIG.format(time=self.time, strategy=self.strategy, **ports)
        (directory / "proxy.yaml").write_text(text)
        command = [sys.executable, "-m", "trioproxy", "-c", "proxy.yaml"]
        options = ["--concurrency", "1", "--use-dynamic-base-id"]
        with running([*command, *options], core, directory) as program:
            wait_until(program, lambda: answers(admin), START)
            return trio.run(self._watch, web, admin)

    async def _watch(self, web: int, admin: int) -> Ramp:
        ramp = Ramp()
        asking = [await connect(web) for _ in range(self.clients)]
        idle = [await connect(web) for _ in range(self.clients)]
        for peer in (*asking, *idle):
            await peer.ask(GET.request)
        with trio.move_on_after(self.time * SHARE + 1):
            async with trio.open_nursery() as nursery:
                began = trio.current_time()
                nursery.start_soon(trio.to_thread.run_sync, drain, admin)
                for number, peer in enumerate(asking):
                    first = PAUSE * number / self.clients
                    nursery.start_soon(self._ask, peer, began, first, ramp.told)
                for peer in idle:
                    nursery.start_soon(self._wait, peer, began, ramp.closed)
        if {len(ramp.told), len(ramp.closed)} != {self.clients}:
            raise BenchError(f"{len(ramp.told)} told, {len(ramp.closed)} closed")
        return ramp

    async def _ask(self, peer: Peer, began: float, first: float, told: list[float]) -> None:
        """Ask again and again until it is the last time."""
        await trio.sleep(first)
        with peer:
            head, _ = await peer.ask(GET.request)
            while not head.close:
                await trio.sleep(PAUSE)
                head, _ = await peer.ask(GET.request)
        told.append((trio.current_time() - began) / self.time)

    async def _wait(self, peer: Peer, began: float, closed: list[float]) -> None:
        """Wait for the end."""
        with peer:
            try:
                data = await peer.receive()
            except Ended:
                closed.append((trio.current_time() - began) / self.time)
            else:
                raise BenchError(f"said unasked: {data[:80]!r}")


def answers(admin: int) -> bool:
    """Whether the proxy serves."""
    try:
        return ask(admin, "GET", "/ready") == 200
    except OSError:
        return False


def drain(admin: int) -> None:
    """Begin; raises BenchError where that is refused."""
    status = ask(admin, "POST", "/drain_listeners?graceful&skip_exit")
    if status != 200:
        raise BenchError(f"the drain was answered with {status}")


def ask(port: int, method: str, path: str) -> int:
    """Return the status of a request."""
    client = HTTPConnection("127.0.0.1", port, timeout=START)
    try:
        client.request(method, path)
        return client.getresponse().status
    finally:
        client.close()


def shares(moments: Iterable[float]) -> list[tuple[float, float]]:
    """Return the steps of a curve: moment, and the share of all that came by then."""
    ordered = sorted(moments)
    return [(moment, rank / len(ordered)) for rank, moment in enumerate(ordered, 1)]
