"""The place of one worker: when the process that stands there dies, the next one takes over."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Protocol

import trio

from trioproxy.restart.channel import Channel, channel_pair
from trioproxy.server.children import CannotFork, ZygoteGone
from trioproxy.server.messages import FROM_WORKER
from trioproxy.server.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trioproxy.server.children import Children
    from trioproxy.server.messages import Start, ToWorker
    from trioproxy.stats.server import WatchdogStats
    from trioproxy.upstream.monitor import EjectionType

log = logging.getLogger("trioproxy.main")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds before a dead worker is replaced
PROVEN = 10.0  # seconds of life after which a death is not one of a series


class StartFailed(Exception):
    """A worker died before it was ready for the first time; the text says why."""


class Orders(Protocol):
    """What a place asks of the supervisor."""

    leaving: trio.Event

    def introduction(self, worker: int) -> tuple[Start, Sequence[int]]:
        """Return what a new worker is told first, and the descriptors that go with it."""

    def standing(self) -> Sequence[ToWorker]:
        """Return what a worker is told when it is ready, to be where the others are."""

    def accuse(self, cluster: str, key: str, kind: EjectionType) -> None:
        """Take note that a worker saw a host fail too often in a row."""

    def give_up(self, reason: str) -> None:
        """Take note that a worker is gone and cannot be replaced."""


class Place:
    """One worker after another, all with the same index and the same listen sockets."""

    def __init__(
        self, index: int, children: Children, orders: Orders, watchdog: WatchdogStats
    ) -> None:
        self.process: Process | None = None
        self.ended = trio.Event()
        self._index = index
        self._children = children
        self._orders = orders
        self._watchdog = watchdog
        self._telling = trio.Lock()
        self._pause = FIRST_PAUSE

    async def keep(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Keep a worker here until all leave; started when the first one is ready.

        Raises StartFailed.
        """
        try:
            await self._begin(task_status.started)
            while not self._orders.leaving.is_set():
                await self._replace()
        except ZygoteGone as error:
            self._orders.give_up(f"worker {self._index} cannot be replaced: {error}")
        finally:
            self.ended.set()

    async def tell(self, message: ToWorker) -> bool:
        """Send a command to the worker, if one is ready; returns whether that was not too busy."""
        async with self._telling:
            return self.process is None or await self.process.tell(message)

    async def _begin(self, on_ready: Callable[[], None]) -> None:
        """Have the first worker live here; raises StartFailed if that is too much to ask."""
        try:
            process = await self._stand(on_ready)
        except CannotFork as error:
            raise StartFailed(f"worker {self._index} cannot be started: {error}") from error
        if not process.ready.is_set():
            raise StartFailed(f"{process} is not ready: {process.failure}")

    async def _replace(self) -> None:
        """Wait a little, ever longer in a series of deaths, and have one more worker live here.

        Raises ZygoteGone.
        """
        with trio.move_on_after(self._pause):
            await self._orders.leaving.wait()
            return
        born = trio.current_time()
        try:
            await self._stand(lambda: None)
        except ZygoteGone:
            raise
        except CannotFork as error:
            log.error("worker %d cannot be replaced yet: %s", self._index, error)
        lived = trio.current_time() - born
        self._pause = FIRST_PAUSE if lived > PROVEN else min(2 * self._pause, LONGEST_PAUSE)

    async def _stand(self, on_ready: Callable[[], None]) -> Process:
        """Have one worker live here, from its fork to its death."""
        ours, theirs = channel_pair()
        with Channel(ours, FROM_WORKER) as channel:
            with theirs:
                child = await self._children.fork(self._index, theirs)
            process = Process(self._index, channel, child, self._watchdog, self._orders.accuse)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._settle, process, on_ready)
                    how = await process.watch()
                    nursery.cancel_scope.cancel()
            finally:
                self.process = None
                child.signal(signal.SIGKILL)
                child.close()
        process.failure = process.failure or how
        log.log(
            logging.INFO if self._orders.leaving.is_set() else logging.ERROR, "%s %s", process, how
        )
        return process

    async def _settle(self, process: Process, on_ready: Callable[[], None]) -> None:
        """Introduce a new worker, and bring it to where the others are."""
        await process.tell(*self._orders.introduction(self._index))
        await process.ready.wait()
        async with self._telling:
            for message in self._orders.standing():
                while not await process.tell(message):
                    pass  # it is busy; should that last, the pings will have it killed
            self.process = process
        log.info("%s is ready", process)
        on_ready()
