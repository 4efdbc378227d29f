"""One generation as its main process sees it: the phase it is in, and what can be asked of it."""

from __future__ import annotations

import enum
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.server.messages import Accept, Suspend
from trioproxy.stats.server import ServerStats

if TYPE_CHECKING:
    from trioproxy.config.options import Options
    from trioproxy.config.server import Config
    from trioproxy.server.log import ProcessLog
    from trioproxy.server.sockets import Sockets
    from trioproxy.server.supervisor import Supervisor
    from trioproxy.stats.region import Region
    from trioproxy.stats.writer import Writer

log = logging.getLogger("trioproxy.main")

SAME_REQUEST = 1.0
"""Seconds in which a second request to leave is an echo: terminals and supervisors signal twice."""


class Phase(enum.Enum):
    """The life of a generation; it only ever goes forward."""

    INITIALISING = "initialising"
    SERVING = "serving"
    DRAINING = "draining"
    TERMINATED = "terminated"


class Ending:
    """When and how to leave: `asked` to finish what is in flight, `urged` to go at once."""

    def __init__(self) -> None:
        self.asked = trio.Event()
        self.urged = trio.Event()
        self.status = 0
        self._since = 0.0

    def ask(self, reason: str, status: int = 0) -> None:
        """Leave in peace; asked again after more than a moment, leave at once."""
        now = trio.current_time()
        if not self.asked.is_set():
            log.info("leaving: %s", reason)
            self._since, self.status = now, status
            self.asked.set()
        elif now - self._since > SAME_REQUEST:
            log.warning("leaving at once: %s", reason)
            self.urged.set()


@attrs.define(eq=False)
class Generation:
    """The parts of a running generation; admin and signals act through it."""

    epoch: int
    base_id: int
    options: Options
    config: Config
    process_log: ProcessLog
    region: Region
    writer: Writer
    admin: Sockets
    sockets: Sockets
    supervisor: Supervisor
    ending: Ending
    phase: Phase = Phase.INITIALISING

    def enter(self, phase: Phase) -> None:
        """Go on to the next phase of life."""
        if self.phase is Phase.INITIALISING and phase is Phase.SERVING:
            ServerStats(self.writer).initialization_time_ms.record(process_age() * 1000)
        self.phase = phase
        log.info("epoch %d: %s", self.epoch, phase.value)

    async def start(self, nursery: trio.Nursery) -> None:
        """Start the workers in `nursery`, then listen, then let them accept.

        Raises BindFailed, or a group of StartFailed.
        """
        await self.supervisor.start(nursery)
        self.sockets.listen()
        await self.supervisor.tell(Accept())
        self.enter(Phase.SERVING)

    async def leave(self) -> None:
        """Finish what is in flight, within the shutdown time; returns when no worker is left."""
        self.enter(Phase.DRAINING)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel_when, self.ending.urged, nursery.cancel_scope)
            await trio.sleep(self.config.shutdown.lame_duck)
            await self.supervisor.tell(Suspend())
            await self.supervisor.gather()  # all have obeyed: nobody accepts on what is shut now
            self.sockets.refuse()
            await self.supervisor.shutdown(self.config.shutdown.time)
            nursery.cancel_scope.cancel()
        await self.supervisor.terminate()

    async def reopen_logs(self) -> None:
        """Open every log file anew by name, in every process."""
        self.process_log.reopen()
        await self.supervisor.reopen_logs()


def process_age() -> float:
    """Return the seconds since this process was started, exact to a hundredth."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


async def cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    """Cancel `scope` as soon as `event` is set."""
    await event.wait()
    scope.cancel()
