"""The data plane of one worker: its clusters, its listeners and all their connections."""

from __future__ import annotations

import socket
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

import trio

from trioproxy.drain.ladder import Ladder
from trioproxy.drain.lifetime import Cause
from trioproxy.filters.goodbye import TIME_FOR_IT
from trioproxy.filters.offer import OFFERS
from trioproxy.listener.adoption import Adoption
from trioproxy.listener.drains import Drains
from trioproxy.listener.progress import longest, progress
from trioproxy.reactor.accept import Acceptor
from trioproxy.restart.channel import Channel

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from trioproxy.accesslog.writer import AccessLogs
    from trioproxy.drain.lifetime import Lifetime
    from trioproxy.filters.tools import Tools
    from trioproxy.listener.listener import Listener
    from trioproxy.upstream.accusations import Accusation, Accusations
    from trioproxy.upstream.member import Member


class Plane:
    """Serves connections from the listen sockets on, until it is told to stop."""

    def __init__(
        self,
        tools: Tools,
        logs: AccessLogs,
        connections: trio.Nursery,
        accusations: Accusations,
    ) -> None:
        self._listeners: dict[str, Listener] = {}
        self._tools = tools
        self._logs = logs
        self._connections = connections
        self._accusations = accusations
        self._acceptors: list[tuple[Listener, Acceptor]] = []
        self._accepting = trio.CancelScope()
        self._suspended = True
        self._resumed = trio.Event()
        self._drains = Drains(tools, self._listeners, connections)
        self._departures = trio.lowlevel.ParkingLot()
        self._awaited = False

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
        for cluster in self._tools.clusters.values():
            cluster.prepare()
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

    def refuse(self, listeners: Collection[str]) -> None:
        """Let in who waits at these listeners, then have the kernel refuse others.

        Called while suspended. To listen again undoes it.
        """
        for listener, acceptor in self._acceptors:
            if listener.name in listeners:
                listener.empty(acceptor)
                shut(acceptor.transport.sock)

    def close_listeners(self) -> None:
        """Accept no more, ever, and let go of the listen sockets; others may have them, too."""
        self.suspend()
        for _, acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()

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

    def hand_over(self, sock: socket.socket) -> None:
        """Offer connections that can move to the worker at the other end, from `drain` on."""
        handover = self._tools.handover
        self._connections.start_soon(self._drains.hear, handover.begin(sock))

    def adopt(self, sock: socket.socket) -> None:
        """Take connections that the worker at the other end offers."""
        adoption = Adoption(Channel(sock, OFFERS), self._listeners)
        self._connections.start_soon(adoption.run)

    def drain(self, cause: Cause, time: float, life: float, *, immediate: bool) -> None:
        """Ask connections to leave within `time` seconds and end them after `life` seconds.

        That holds for those that are still to come, too, as long as the cause stands. Where it is
        a hot restart, who can move is asked only to do that.
        """
        self._drains.begin(cause, time, life, immediate=immediate)

    def undrain(self, cause: Cause) -> None:
        """Withdraw a cause to leave; who was already told goes on leaving."""
        self._drains.withdraw(cause)

    async def emptied(self) -> None:
        """Return when no connection is left."""
        self._awaited = True
        while self.active:
            await self._departures.park()

    async def shutdown(self, seconds: float) -> None:
        """Accept no more; return when no connection is left, after `seconds` at the latest.

        May be called again while it runs: the earlier end counts.
        """
        self.suspend()
        self.drain(Cause.SHUTDOWN, seconds, seconds, immediate=False)
        with trio.move_on_after(seconds):
            await self.emptied()

    def arrived(self, listener: Listener, lifetime: Lifetime) -> None:
        """Take note of a new connection: what holds for the others holds for it."""
        self._drains.arrived(listener, lifetime)

    def departed(self) -> None:
        """Take note that a connection is gone."""
        if self._awaited:
            self._departures.unpark_all()

    def close(self, number: int) -> None:
        """Have one connection leave at once, whatever it does; none if it is gone already."""
        now = trio.current_time()
        for listener in self._listeners.values():
            for lifetime, connection in listener.living.items():
                if connection is not None and connection.id == number:
                    lifetime.moving = lifetime.called = False
                    lifetime.tighten(Ladder(now, now, now, now + TIME_FOR_IT), Cause.ADMIN)

    def reopen_logs(self) -> None:
        """Open the access logs anew by name."""
        self._logs.reopen()

    def set_health(self, *, failed: bool) -> None:
        """Tell whoever checks this worker's health that it is well, or that it is not."""
        self._tools.health.failed = failed

    def set_hosts(self, cluster: str, members: Sequence[Member]) -> None:
        """Have a cluster have these hosts from now on, each once; who is gone is drained."""
        self._tools.clusters[cluster].update(members)

    async def accusation(self) -> Accusation:
        """Wait until a host has failed too often in a row; returns which."""
        return await self._accusations.next()

    def report(self) -> dict[str, object]:
        """Return this worker's figures for admin, fit for JSON."""
        living = [each.living for each in self._listeners.values()]
        return {
            "listeners": {name: progress(each.living) for name, each in self._listeners.items()},
            "offers": self._tools.handover.counts,
            "connections": longest(chain.from_iterable(each.items() for each in living)),
            "reactor": repr(self._tools.reactor),
        }


def shut(listening: socket.socket) -> None:
    """Have the kernel refuse connects, for whoever has the socket.

    A Unix one would never listen again after that: it goes on queueing where it has a name.
    """
    if listening.family != socket.AF_UNIX:
        with suppress(OSError):  # another worker has it, too, and was here before
            listening.shutdown(socket.SHUT_RDWR)
