"""Main's side of the zygote: workers are born, signalled and buried here."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.restart.channel import Channel
from trioproxy.restart.packets import ChannelError
from trioproxy.server.messages import FROM_ZYGOTE, Exited, Fork, Forked, NotForked, ReopenLogs

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from trioproxy.server.messages import FromZygote
    from trioproxy.server.zygote import Seed

log = logging.getLogger("trioproxy.main")

SIGNAL_NAMES = {number.value: number.name for number in signal.Signals}


class CannotFork(Exception):
    """There is no new worker to be had now; the text says why."""


class ZygoteGone(CannotFork):
    """There will never be a new worker again."""


@attrs.define(eq=False)
class Child:
    """A worker process; `status` is None while it lives, and for ever if the zygote died first."""

    pid: int
    pidfd: int
    status: int | None = None
    told: trio.Event = attrs.field(factory=trio.Event)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it is still there to get it."""
        if self.pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    async def ended(self) -> str:
        """Wait until the process is gone; returns how it ended, for the log."""
        await trio.lowlevel.wait_readable(self.pidfd)
        await self.told.wait()
        return describe(self.status)

    def close(self) -> None:
        """Let go of the process, whatever it does."""
        trio.lowlevel.notify_closing(self.pidfd)
        os.close(self.pidfd)
        self.pidfd = -1  # the number may soon be another's


def describe(status: int | None) -> str:
    """Say in words how a process ended, from its exit status."""
    if status is None:
        return "ended, nobody knows how"
    if status < 0:
        return f"killed by {SIGNAL_NAMES.get(-status, -status)}"
    return f"exited with {status}"


class Children:
    """All workers that the zygote forked; `orphaned` is set when the zygote is gone."""

    def __init__(self, channel: Channel[FromZygote], zygote: int) -> None:
        self.orphaned = trio.Event()
        self._channel = channel
        self._zygote = zygote
        self._living: dict[int, Child] = {}
        self._forking = trio.Lock()
        self._tell_birth, self._births = trio.open_memory_channel[Child | NotForked](1)

    async def fork(self, worker: int, end: socket.socket) -> Child:
        """Have a worker forked that owns a copy of the channel end `end`; raises CannotFork."""
        async with self._forking:
            try:
                await self._channel.send(Fork(worker), [end.fileno()])
                born = await self._births.receive()
            except (ChannelError, trio.EndOfChannel):
                raise ZygoteGone("the zygote is gone") from None
        if isinstance(born, NotForked):
            raise CannotFork(born.reason)
        return born

    async def reopen_logs(self) -> None:
        """Have the zygote, from whom new workers inherit their log, reopen it."""
        with suppress(ChannelError):
            await self._channel.send(ReopenLogs())

    async def listen(self) -> None:
        """Take in what the zygote tells, until it is gone."""
        try:
            while True:
                received = await self._channel.receive()
                self._note(received.message, received.fds)
        except ChannelError:
            self._lose_zygote()

    def kill(self) -> None:
        """Kill every worker that is left."""
        for child in self._living.values():
            child.signal(signal.SIGKILL)

    def _note(self, message: FromZygote, fds: tuple[int, ...]) -> None:
        match message:
            case Forked(pid=pid):
                self._living[pid] = child = Child(pid, fds[0])
                self._tell_birth.send_nowait(child)
            case NotForked():
                self._tell_birth.send_nowait(message)
            case Exited(pid=pid, status=status):
                child = self._living.pop(pid)
                child.status = status
                child.told.set()

    def _lose_zygote(self) -> None:
        log.error(
            "the zygote was lost (%s): workers serve on, but none can be replaced",
            describe(bury(self._zygote)),
        )
        self._tell_birth.close()
        self.orphaned.set()
        for child in self._living.values():
            child.told.set()


def bury(pid: int) -> int:
    """Kill a direct child that may be dead already, and reap it; returns how it ended."""
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


@asynccontextmanager
async def open_children(seed: Seed) -> AsyncIterator[Children]:
    """Speak with the zygote; at the end neither it nor a worker is left."""
    with Channel(seed.end, FROM_ZYGOTE) as channel:
        children = Children(channel, seed.pid)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(children.listen)
                yield children
                nursery.cancel_scope.cancel()
        finally:
            children.kill()
            if not children.orphaned.is_set():
                bury(seed.pid)
