"""One worker process as main sees it: it is heard, pinged, told what to do, and seen off."""

from __future__ import annotations

import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from trioproxy.restart.packets import ChannelError, TooLarge
from trioproxy.server.messages import (
    Accuse,
    Confirm,
    Failed,
    Gather,
    Ping,
    Pong,
    Ready,
    Report,
    TellWhenEmpty,
)
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioproxy.restart.channel import Channel
    from trioproxy.server.children import Child
    from trioproxy.server.messages import FromWorker, ToWorker
    from trioproxy.stats.server import WatchdogStats
    from trioproxy.upstream.tools import Accuse as Accuser

log = logging.getLogger("trioproxy.main")

BEAT = 1.0  # seconds between pings
MISSED = 2  # pings in a row without an answer: the first one had a whole beat for it
SILENT = 10  # pings in a row without an answer: its stack is logged
DEAD = 30  # pings in a row without an answer: it is killed
PATIENCE = 2.0  # seconds for a worker to take a command, to answer, or to exit after EOF


class Process:
    """A worker process and main's end of its channel; `watchdog` counts when it is silent.

    `accuse` hears of hosts that fail.
    """

    def __init__(
        self,
        worker: int,
        channel: Channel[FromWorker],
        child: Child,
        watchdog: WatchdogStats,
        accuse: Accuser,
    ) -> None:
        self.ready = trio.Event()
        self.failure = ""
        self._worker = worker
        self._channel = channel
        self._child = child
        self._watchdog = watchdog
        self._accuse = accuse
        self._unanswered = 0
        self._asked = 0
        self._answers: dict[int, trio.MemorySendChannel[dict[str, object]]] = {}

    def __str__(self) -> str:
        return f"worker {self._worker} (pid {self._child.pid})"

    async def watch(self) -> str:
        """Hear and ping it as long as it lives; returns how it ended, for the log."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beat)
            with suppress(ChannelError):
                await self._listen()
            nursery.cancel_scope.cancel()
        for answer in self._answers.values():
            answer.close()
        with trio.move_on_after(PATIENCE):
            return await self._child.ended()
        self._child.signal(signal.SIGKILL)
        return await self._child.ended()

    async def tell(self, message: ToWorker, fds: Sequence[int] = ()) -> bool:
        """Send a command; returns whether it was taken, or there is nobody to take it.

        One that is too busy for that will be found silent by the pings. What is too large to be
        said will be so the next time: it is logged, and done with.
        """
        with suppress(ChannelError), trio.move_on_after(PATIENCE) as patience:
            try:
                await self._channel.send(message, fds)
            except TooLarge as error:
                log.error("%s is not told %s: %s", self, type(message).__name__, error)
        return not patience.cancelled_caught

    async def gather(self) -> dict[str, object] | None:
        """Ask for its figures; None where it dies or does not answer in time."""
        with trio.move_on_after(PATIENCE):
            return await self._ask(Gather)
        return None

    async def obeyed(self) -> None:
        """Return when it has done what it was told, or dies or does not answer in time."""
        with trio.move_on_after(PATIENCE):
            await self._ask(Confirm)

    async def emptied(self) -> None:
        """Return when it has no connection any more, or is dead."""
        await self._ask(TellWhenEmpty)

    async def _ask(
        self, question: type[Gather | Confirm | TellWhenEmpty]
    ) -> dict[str, object] | None:
        self._asked += 1
        number = self._asked
        self._answers[number], answer = trio.open_memory_channel[dict[str, object]](1)
        try:
            await self.tell(question(number))
            return await answer.receive()
        except trio.EndOfChannel:
            return None
        finally:
            del self._answers[number]

    async def _listen(self) -> None:
        while True:
            received = await self._channel.receive()
            match received.message:
                case Ready():
                    self.ready.set()
                case Pong():
                    self._unanswered = 0
                case Failed(reason=reason):
                    self.failure = reason
                case Accuse(cluster=cluster, key=key, kind=kind):
                    self._accuse(cluster, key, EjectionType(kind))
                case Report(number=number, body=body) if number in self._answers:
                    self._answers[number].send_nowait(body)

    async def _beat(self) -> None:
        """Ping. Pings count, not seconds: main may have been stopped itself, and time went on."""
        while True:
            await trio.sleep(BEAT)
            self._unanswered += 1
            if self._unanswered == MISSED:
                self._watchdog.watchdog_miss.add()
            if self._unanswered == SILENT:
                self._watchdog.watchdog_mega_miss.add()
                log.error("%s has been silent for %.0f s; its stack follows", self, SILENT * BEAT)
                self._child.signal(signal.SIGUSR2)
            if self._unanswered == DEAD:
                log.error("%s has been silent for %.0f s; killing it", self, DEAD * BEAT)
                self._child.signal(signal.SIGKILL)
            with suppress(ChannelError), trio.move_on_after(BEAT):
                await self._channel.send(Ping())
