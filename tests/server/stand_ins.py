"""Workers inside the test's own process: the real channel and the real worker, without a fork."""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.server.worker import live
from trioproxy.upstream.accusations import Accusations

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from trioproxy.drain.lifetime import Cause
    from trioproxy.server.log import ProcessLog
    from trioproxy.server.plane import Identity, OpenPlane
    from trioproxy.upstream.accusations import Accusation
    from trioproxy.upstream.member import Member


class Diary:
    """A data plane that writes down what it is told; `empty` lets a shutdown end."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.told: list[str] = []
        self.accusations = Accusations()
        self.leaving = trio.Event()
        self.empty = trio.Event()

    def start(self, sockets: Mapping[str, Sequence[socket.socket]]) -> None:
        counts = ", ".join(f"{len(group)} x {name}" for name, group in sockets.items())
        self.told.append(f"start with {counts}")

    def suspend(self) -> None:
        self.told.append("suspend")

    def resume(self) -> None:
        self.told.append("resume")

    def refuse(self, listeners: Collection[str]) -> None:
        self.told.append(f"refuse {', '.join(listeners)}")

    def hand_over(self, sock: socket.socket) -> None:
        self.told.append("hand over")
        sock.close()

    def adopt(self, sock: socket.socket) -> None:
        self.told.append("adopt")
        sock.close()

    def close_listeners(self) -> None:
        self.told.append("close listeners")

    def close(self, number: int) -> None:
        self.told.append(f"close {number}")

    async def emptied(self) -> None:
        await self.empty.wait()

    def drain(self, cause: Cause, time: float, life: float, *, immediate: bool) -> None:
        self.told.append(f"drain {cause.value} {time} {life} {immediate}")

    def undrain(self, cause: Cause) -> None:
        self.told.append(f"undrain {cause.value}")

    async def shutdown(self, seconds: float) -> None:
        self.told.append(f"shutdown {seconds}")
        self.leaving.set()
        with trio.move_on_after(seconds):
            await self.empty.wait()

    def reopen_logs(self) -> None:
        self.told.append("reopen logs")

    def set_health(self, *, failed: bool) -> None:
        self.told.append(f"health {'failed' if failed else 'ok'}")

    def set_hosts(self, cluster: str, members: Sequence[Member]) -> None:
        self.told.append(f"{cluster} has {', '.join(each.address for each in members)}")

    async def accusation(self) -> Accusation:
        return await self.accusations.next()

    def report(self) -> dict[str, object]:
        return {"told": self.told}


class Diaries:
    """Opens diaries, and keeps them for the test to read; `broken` makes the next one fail."""

    def __init__(self) -> None:
        self.all: list[Diary] = []
        self.broken: BaseException | None = None
        self.warm = trio.Event()
        self.warm.set()

    @property
    def last(self) -> Diary:
        return self.all[-1]

    @asynccontextmanager
    async def open(self, identity: Identity) -> AsyncIterator[Diary]:
        if self.broken:
            raise self.broken
        await self.warm.wait()
        self.all.append(Diary(identity))
        yield self.last


@attrs.define(eq=False)
class TaskChild:
    """A worker that is a task: what kills a process cancels it."""

    pid: int
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    gone: trio.Event = attrs.field(factory=trio.Event)
    signals: list[signal.Signals] = attrs.field(factory=list)
    killed: trio.Event = attrs.field(factory=trio.Event)
    how: str = ""

    def signal(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if number == signal.SIGKILL:
            self.how = self.how or "killed by SIGKILL"
            self.killed.set()
            self.scope.cancel()

    async def ended(self) -> str:
        await self.gone.wait()
        return self.how

    def close(self) -> None:
        """Nothing to close."""

    async def run(self, end: socket.socket, open_plane: OpenPlane, log: ProcessLog) -> None:
        with self.scope:
            self.how = f"exited with {await live(end, open_plane, log)}"
        end.close()
        self.gone.set()


class TaskChildren:
    """In the place of `Children`."""

    def __init__(self, nursery: trio.Nursery, open_plane: OpenPlane, log: ProcessLog) -> None:
        self.all: list[TaskChild] = []
        self.refuse: Exception | None = None
        self.regrets: list[str] = []
        self.zygote_reopened = False
        self._nursery = nursery
        self._open_plane = open_plane
        self._log = log

    async def fork(self, worker: int, end: socket.socket) -> TaskChild:
        if self.refuse:
            raise self.refuse
        child = TaskChild(4711 + len(self.all))
        self.all.append(child)
        self._nursery.start_soon(child.run, end.dup(), self._open_plane, self._log)
        await trio.lowlevel.checkpoint()
        return child

    async def reopen_logs(self) -> None:
        self.zygote_reopened = True

    def kill(self) -> None:
        for child in self.all:
            child.signal(signal.SIGKILL)
