"""The data plane of one worker: its clusters, its listeners and all their connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trioproxy.drain.policy import Policy
from trioproxy.reactor.accept import Acceptor

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from trioproxy.accesslog.writer import AccessLogs
    from trioproxy.drain.lifetime import Lifetime
    from trioproxy.filters.tools import Tools
    from trioproxy.listener.listener import Listener


class Plane:
    """Serves connections from the listen sockets on, until it is told to stop."""

    def __init__(self, tools: Tools, logs: AccessLogs) -> None:
        self._listeners: dict[str, Listener] = {}
        self._tools = tools
        self._logs = logs
        self._acceptors: list[tuple[Listener, Acceptor]] = []
        self._accepting = trio.CancelScope()
        self._suspended = True
        self._resumed = trio.Event()
        self._policy = Policy()
        self._departures = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<Plane {len(self._listeners)} listeners, {self.active} connections>"

    @property
    def active(self) -> int:
        """How many downstream connections there are."""
        return sum(len(listener.living) for listener in self._listeners.values())

    def add(self, listener: Listener) -> None:
        """Add a listener, before `start`."""
        self._listeners[listener.name] = listener

    def start(self, sockets: Mapping[str, Sequence[socket.socket]]) -> None:
        """Begin to accept on the listen sockets of each listener, by its name; called once."""
        reactor = self._tools.reactor
        for name, group in sockets.items():
            listener = self._listeners[name]
            self._acceptors += [
                (listener, Acceptor(reactor, sock, listener.exhausted)) for sock in group
            ]
        self.resume()

    def suspend(self) -> None:
        """Accept no more; connections do not notice."""
        self._suspended = True
        self._accepting.cancel()

    def resume(self) -> None:
        """Accept again."""
        self._suspended = False
        self._resumed.set()

    async def accept(self) -> None:
        """Accept whenever it is not suspended, until cancelled."""
        while True:
            while self._suspended:
                self._resumed = trio.Event()
                await self._resumed.wait()
            with trio.CancelScope() as self._accepting:
                async with trio.open_nursery() as nursery:
                    for listener, acceptor in self._acceptors:
                        nursery.start_soon(listener.accept, acceptor)

    def drain(self, drain: float, life: float, *, immediate: bool) -> None:
        """Ask connections to leave within `drain` seconds and end them after `life` seconds."""
        now, rng = trio.current_time(), self._tools.rng
        for lifetime in self._lifetimes():
            u = 0.0 if immediate else rng.random()
            lifetime.tighten(
                self._policy.ladder(now, drain=0.0 if immediate else drain, life=life, u=u)
            )

    def undrain(self) -> None:
        """Ask nobody any more; who was told to leave goes on leaving."""
        for lifetime in self._lifetimes():
            lifetime.relax()

    async def shutdown(self, seconds: float) -> None:
        """Accept no more; return when no connection is left, after `seconds` at the latest.

        May be called again while it runs: the earlier end counts.
        """
        self.suspend()
        self.drain(seconds, seconds, immediate=False)
        with trio.move_on_after(seconds):
            while self.active:
                await self._departures.park()

    def departed(self) -> None:
        """Take note that a connection is gone."""
        self._departures.unpark_all()

    def reopen_logs(self) -> None:
        """Open the access logs anew by name."""
        self._logs.reopen()

    def reset_counters(self) -> None:
        """Zero this worker's counters."""
        self._tools.stats.reset_counters()

    def set_health(self, *, failed: bool) -> None:
        """Tell whoever checks this worker's health that it is well, or that it is not."""
        self._tools.health.failed = failed

    def report(self) -> dict[str, object]:
        """Return this worker's figures for admin, fit for JSON."""
        return {
            "connections": {name: len(each.living) for name, each in self._listeners.items()},
            "reactor": repr(self._tools.reactor),
        }

    def _lifetimes(self) -> list[Lifetime]:
        return [life for each in self._listeners.values() for life in each.living]
