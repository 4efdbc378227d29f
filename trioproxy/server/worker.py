"""A worker: runs the data plane, obeys main's channel alone, leaves when main is gone."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
from collections import defaultdict
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import trio

from trioproxy.drain.lifetime import Cause
from trioproxy.restart.channel import Channel, Received
from trioproxy.restart.packets import ChannelError
from trioproxy.server.log import fold, set_level
from trioproxy.server.messages import (
    TO_WORKER,
    Accept,
    Accuse,
    Adopt,
    Close,
    Confirm,
    Drain,
    Failed,
    Gather,
    HandOver,
    Ping,
    Pong,
    Ready,
    Refuse,
    ReopenLogs,
    Report,
    Resume,
    SetHealth,
    SetHosts,
    SetLogLevel,
    Shutdown,
    Start,
    Suspend,
    TellWhenEmpty,
    Terminate,
)
from trioproxy.server.plane import Identity
from trioproxy.stats.region import Region
from trioproxy.upstream.member import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trioproxy.server.log import ProcessLog
    from trioproxy.server.messages import ToWorker
    from trioproxy.server.plane import DataPlane, OpenPlane

log = logging.getLogger("trioproxy.worker")

OVERTIME = 1.0
"""Seconds after which nobody waits any longer for a shutdown that should have ended."""


async def live(end: socket.socket, open_plane: OpenPlane, process_log: ProcessLog) -> int:
    """Hear who to be, be it until the end; returns the exit status."""
    with Channel(end, TO_WORKER) as channel:
        try:
            received = await channel.receive()
        except ChannelError:
            return 0  # main left before it said anything
        if not isinstance(received.message, Start):
            raise TypeError(f"expected Start first, not {received.message}")
        return await serve(channel, received.message, received.fds, open_plane, process_log)


async def serve(
    channel: Channel[ToWorker],
    start: Start,
    fds: Sequence[int],
    open_plane: OpenPlane,
    process_log: ProcessLog,
) -> int:
    """Be the worker that `start` describes; returns the exit status."""
    region_fd, *listening = fds
    try:
        with (
            listen_sockets(start.listeners, listening) as sockets,
            attach(region_fd) as region,
            region.claim(start.epoch, start.worker) as writer,
        ):
            identity = Identity(start.epoch, start.worker, start.workers, region, writer)
            async with open_plane(identity) as plane:
                await Worker(channel, plane, process_log, sockets, start.shutdown_time).obey()
    except Exception as error:  # a worker ends here, and main should know why
        log.critical("worker %d failed", start.worker, exc_info=True)
        with suppress(ChannelError):
            await channel.send(Failed(fold(error)))
        return 1
    return 0


@contextmanager
def listen_sockets(
    names: Sequence[str], fds: Sequence[int]
) -> Iterator[dict[str, list[socket.socket]]]:
    """Own the listen sockets that came as descriptors; yields them by listener."""
    sockets = defaultdict(list)
    with ExitStack() as stack:
        for name, fd in zip(names, fds, strict=True):
            sockets[name].append(stack.enter_context(socket.socket(fileno=fd)))
        yield sockets


def attach(fd: int) -> Region:
    """Attach to the region that `fd` refers to and close `fd`."""
    try:
        return Region.attach(fd)
    finally:
        os.close(fd)


class Worker:
    """The obedient side of a worker."""

    def __init__(
        self,
        channel: Channel[ToWorker],
        plane: DataPlane,
        process_log: ProcessLog,
        sockets: dict[str, list[socket.socket]],
        shutdown_time: float,
    ) -> None:
        self._channel = channel
        self._plane = plane
        self._process_log = process_log
        self._sockets = sockets
        self._shutdown_time = shutdown_time
        self._started = False
        self._emptying = trio.CancelScope()

    async def obey(self) -> None:
        """Say that it is ready, then do what main says until it says to leave, or is gone."""
        async with trio.open_nursery() as nursery:
            try:
                await self._channel.send(Ready())
                nursery.start_soon(self._accuse)
                while True:
                    received = await self._channel.receive()
                    await self._do(received, nursery)
            except ChannelError:
                nursery.start_soon(self._leave_orphaned, nursery)

    async def _accuse(self) -> None:
        """Tell main of hosts that fail, until cancelled or main is gone."""
        with suppress(ChannelError):
            while True:
                found = await self._plane.accusation()
                await self._channel.send(Accuse(found.cluster, found.key, found.kind.value))

    async def _do(self, received: Received[ToWorker], nursery: trio.Nursery) -> None:
        message = received.message
        match message:
            case Accept():
                self._accept()
            case Suspend():
                self._plane.suspend()
            case Shutdown(seconds=seconds):
                nursery.start_soon(self._leave, seconds, nursery)
            case Terminate():
                nursery.cancel_scope.cancel()
            case TellWhenEmpty(number=number):
                nursery.start_soon(self._tell_when_empty, number)
            case HandOver() | Adopt():
                self._pass_on(message, socket.socket(fileno=received.fds[0]))
            case Refuse() | Drain() | Resume() | Close():
                self._give_way(message)
            case _:
                await self._keep_house(message)

    def _pass_on(self, message: HandOver | Adopt, sock: socket.socket) -> None:
        if isinstance(message, HandOver):
            self._plane.hand_over(sock)
        else:
            self._plane.adopt(sock)

    def _give_way(self, message: Refuse | Drain | Resume | Close) -> None:
        match message:
            case Refuse(listeners=listeners):
                self._plane.refuse(listeners)
            case Drain(time=time, life=life, immediate=immediate, cause=cause):
                self._plane.drain(Cause(cause), time, life, immediate=immediate)
            case Resume(cause=cause):
                self._plane.undrain(Cause(cause))
                self._emptying.cancel()
            case Close(number=number):
                self._plane.close(number)

    async def _keep_house(self, message: ToWorker) -> None:
        match message:
            case Ping():
                await self._channel.send(Pong())
            case Gather(number=number):
                await self._channel.send(Report(number, self._plane.report()))
            case Confirm(number=number):
                await self._channel.send(Report(number, {}))
            case ReopenLogs():
                self._process_log.reopen()
                self._plane.reopen_logs()
            case SetLogLevel(level=level, component=component):
                set_level(level, component)
            case SetHealth(failed=failed):
                self._plane.set_health(failed=failed)
            case SetHosts(cluster=cluster, hosts=hosts):
                self._plane.set_hosts(cluster, unpack(hosts))

    def _accept(self) -> None:
        if self._started:
            self._plane.resume()
        else:
            self._plane.start(self._sockets)
            self._started = True

    async def _tell_when_empty(self, number: int) -> None:
        with trio.CancelScope() as self._emptying:
            await self._plane.emptied()
            with suppress(ChannelError):
                await self._channel.send(Report(number, {}))

    async def _leave(self, seconds: float, nursery: trio.Nursery) -> None:
        """Leave in peace, the data plane deciding when; `seconds` bounds it, slack included."""
        with trio.move_on_after(seconds + OVERTIME):
            await self._plane.shutdown(seconds)
        nursery.cancel_scope.cancel()

    async def _leave_orphaned(self, nursery: trio.Nursery) -> None:
        log.warning(
            "main is gone: finishing what is in flight, %.0f s at most", self._shutdown_time
        )
        # Whoever has a copy of the listen sockets goes on with them; nobody shall wait for us.
        self._plane.close_listeners()
        # Nobody is left to kill a worker that hangs: the kernel does.
        signal.alarm(math.ceil(self._shutdown_time + 2 * OVERTIME))
        await self._leave(self._shutdown_time, nursery)
