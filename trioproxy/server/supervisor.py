"""The supervisor of the workers: starts them, keeps them, speaks to all of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.server.messages import (
    Accept,
    Adopt,
    Close,
    Drain,
    HandOver,
    ReopenLogs,
    Resume,
    SetHealth,
    SetHosts,
    SetLogLevel,
    Shutdown,
    Start,
    Suspend,
    Terminate,
)
from trioproxy.server.place import Place
from trioproxy.stats.server import WatchdogStats
from trioproxy.upstream.member import pack

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from trioproxy.server.children import Children
    from trioproxy.server.messages import ToWorker
    from trioproxy.server.sockets import Sockets
    from trioproxy.stats.writer import Writer
    from trioproxy.upstream.member import Member
    from trioproxy.upstream.monitor import EjectionType
    from trioproxy.upstream.tools import Accuse

OVERTIME = 2.0
"""Seconds that a worker gets beyond the shutdown time, and beyond Terminate."""


@attrs.frozen
class Crew:
    """What all workers of a generation have in common."""

    epoch: int
    workers: int
    shutdown_time: float
    sockets: Sockets
    region: int
    writer: Writer


def ignore(cluster: str, key: str, kind: EjectionType) -> None:
    """Take no note of a host that fails."""


class Supervisor:
    """All workers of this generation; `accuse` hears of hosts that they see fail."""

    def __init__(self, crew: Crew, children: Children, give_up: Callable[[str], None]) -> None:
        self.leaving = trio.Event()
        self.give_up = give_up
        self.accuse: Accuse = ignore
        self._crew = crew
        self._children = children
        self._places = [
            Place(index, children, self, WatchdogStats(crew.writer, index))
            for index in range(crew.workers)
        ]
        self._standing: dict[str, ToWorker] = {}

    async def start(self, nursery: trio.Nursery) -> None:
        """Start all workers in `nursery`, which keeps them; returns when all are ready.

        Raises a group of StartFailed.
        """
        async with trio.open_nursery() as starting:
            for place in self._places:
                starting.start_soon(nursery.start, place.keep)

    def missing(self) -> list[int]:
        """Return the workers that are not ready."""
        return [index for index, place in enumerate(self._places) if place.process is None]

    async def tell(self, message: ToWorker) -> bool:
        """Send a command to all workers, those that are still to come included.

        Returns whether none was too busy to take it.
        """
        self._remember(message)
        taken: list[bool] = []

        async def tell(place: Place) -> None:
            taken.append(await place.tell(message))

        async with trio.open_nursery() as nursery:
            for place in self._places:
                nursery.start_soon(tell, place)
        return all(taken)

    async def set_hosts(self, cluster: str, hosts: Sequence[Member]) -> bool:
        """Tell all workers, those to come included, all hosts of a cluster.

        Returns whether none was too busy to hear it.
        """
        return await self.tell(SetHosts(cluster, pack(hosts)))

    async def hand_over(self, ends: Sequence[socket.socket]) -> None:
        """Give each worker its channel to the next generation; the ends are theirs then."""
        await self._deal(HandOver(), ends)

    async def adopt(self, ends: Sequence[socket.socket]) -> None:
        """Deal out the channels from the previous generation; the ends are the workers' then."""
        await self._deal(Adopt(), ends)

    async def _deal(self, message: ToWorker, ends: Sequence[socket.socket]) -> None:
        for index, end in enumerate(ends):
            with end:
                process = self._places[index % len(self._places)].process
                if process is not None:
                    await process.tell(message, [end.fileno()])

    async def close(self, worker: int, number: int) -> None:
        """Have a worker's connection leave at once, if there is such a one."""
        process = self._places[worker].process if worker < len(self._places) else None
        if process is not None:
            await process.tell(Close(number))

    async def gather(self) -> dict[int, dict[str, object]]:
        """Return the figures of the workers that answer, by index."""
        reports: dict[int, dict[str, object]] = {}

        async def ask(index: int, place: Place) -> None:
            report = await place.process.gather() if place.process else None
            if report is not None:
                reports[index] = report

        async with trio.open_nursery() as nursery:
            for index, place in enumerate(self._places):
                nursery.start_soon(ask, index, place)
        return reports

    async def obeyed(self) -> None:
        """Return when the workers that answer have done all that they were told."""
        async with trio.open_nursery() as nursery:
            for place in self._places:
                if place.process is not None:
                    nursery.start_soon(place.process.obeyed)

    async def emptied(self) -> None:
        """Return when no worker has a connection."""
        async with trio.open_nursery() as nursery:
            for place in self._places:
                if place.process is not None:  # a process that is still to come has none either
                    nursery.start_soon(place.process.emptied)

    async def reopen_logs(self) -> None:
        """Have every process but main reopen its logs by name."""
        await self._children.reopen_logs()
        await self.tell(ReopenLogs())

    async def shutdown(self, seconds: float) -> None:
        """Let workers finish what is in flight; returns when all are gone."""
        self.leaving.set()
        await self.tell(Shutdown(seconds))
        with trio.move_on_after(seconds + OVERTIME):
            return await self._all_ended()
        await self.terminate()

    async def terminate(self) -> None:
        """Have all workers exit now; returns when they are gone."""
        self.leaving.set()
        await self.tell(Terminate())
        with trio.move_on_after(OVERTIME):
            return await self._all_ended()
        self.kill()
        await self._all_ended()

    def kill(self) -> None:
        """Kill all workers, without waiting."""
        self._children.kill()

    def introduction(self, worker: int) -> tuple[Start, Sequence[int]]:
        """Return what a new worker is told first, and the descriptors that go with it."""
        crew = self._crew
        served = crew.sockets.served_by(worker, crew.workers)
        names = tuple(bound.listener for bound in served)
        start = Start(crew.epoch, worker, crew.workers, crew.shutdown_time, names)
        return start, [crew.region, *(bound.sock.fileno() for bound in served)]

    def standing(self) -> Sequence[ToWorker]:
        """Return what a worker is told when it is ready, to be where the others are.

        Hosts come first: who accepts has to know them.
        """
        return sorted(self._standing.values(), key=lambda each: not isinstance(each, SetHosts))

    async def _all_ended(self) -> None:
        for place in self._places:
            await place.ended.wait()

    def _remember(self, message: ToWorker) -> None:
        """Keep a command that also holds for workers to come, instead of what it replaces."""
        match message:
            case SetLogLevel(component=component):
                self._standing[f"level {component}"] = message
            case SetHealth():
                self._standing["health"] = message
            case SetHosts(cluster=cluster):
                self._standing[f"hosts {cluster}"] = message
            case ReopenLogs():
                self._standing["logs"] = message
            case Accept() | Suspend():
                self._standing["accepting"] = message
            case Drain(cause=cause) | Resume(cause=cause):
                self._standing[f"drain {cause}"] = message
            case Shutdown() | Terminate():
                self._standing["leaving"] = message
