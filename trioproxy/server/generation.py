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

from trioproxy.server.admin_drain import AdminDrain
from trioproxy.server.door import Door
from trioproxy.server.history import History
from trioproxy.server.messages import Accept, Refuse, Suspend
from trioproxy.server.place import StartFailed
from trioproxy.server.sockets import Sharer
from trioproxy.stats.reader import Reader
from trioproxy.stats.server import ServerStats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioproxy.clusters.manager import ClusterManager
    from trioproxy.config.options import Options
    from trioproxy.config.server import Config
    from trioproxy.server.as_child import AsChild, Lineage
    from trioproxy.server.inherited import Inherited
    from trioproxy.server.log import ProcessLog
    from trioproxy.server.notify import Notifier
    from trioproxy.server.sockets import Bound, Sockets
    from trioproxy.server.supervisor import Supervisor
    from trioproxy.stats.locks import LockFile
    from trioproxy.stats.region import Region
    from trioproxy.stats.writer import Writer

log = logging.getLogger("trioproxy.main")

SAME_REQUEST = 1.0
"""Seconds in which a second request to leave is an echo: terminals and supervisors signal twice."""

LAST_WORDS = 0.1
"""Seconds, at least, to say that a connection is being closed."""


class Phase(enum.Enum):
    """The life of a generation; it goes back only where a next one dies that it drained for."""

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
        self.within: float | None = None  # seconds; None is what the configuration says
        self._since = 0.0

    def ask(self, reason: str, status: int = 0, within: float | None = None) -> None:
        """Leave in peace; asked again after more than a moment, leave at once.

        To be asked for less haste, in so many seconds, changes nothing.
        """
        now = trio.current_time()
        if not self.asked.is_set():
            log.info("leaving: %s", reason)
            self._since, self.status, self.within = now, status, within
            self.asked.set()
        elif not within and now - self._since > SAME_REQUEST:
            log.warning("leaving at once: %s", reason)
            self.urged.set()


@attrs.define(eq=False)
class Generation:
    """The parts of a running generation; admin, signals and the next generation act through it."""

    lineage: Lineage
    base_id: int
    options: Options
    config: Config
    process_log: ProcessLog
    notifier: Notifier
    region: Region
    writer: Writer
    parent: AsChild
    restart_lock: LockFile
    inherited: Sequence[Inherited]
    control: Sockets
    admin: Sockets
    sockets: Sockets
    supervisor: Supervisor
    clusters: ClusterManager
    ending: Ending
    phase: Phase = Phase.INITIALISING
    took_over: bool = False
    health_failed: bool = False
    started: float = attrs.field(factory=trio.current_time)
    admin_door: Door = attrs.field(factory=Door)
    control_door: Door = attrs.field(factory=Door)
    admin_drain: AdminDrain = attrs.field(init=False)
    history: History = attrs.field(init=False)
    _begun_with: int | None = None  # connections, when this phase began in which they leave

    def __attrs_post_init__(self) -> None:
        self.history = History(self.lineage.history)
        self.admin_drain = AdminDrain(
            self.config.drain, self.sockets, self.supervisor, self.connections
        )

    @property
    def epoch(self) -> int:
        """How many generations were before this one."""
        return self.lineage.epoch

    @property
    def uptime_all_epochs(self) -> float:
        """Seconds since the first generation started."""
        return trio.current_time() - self.lineage.first_start

    @property
    def passable(self) -> Sequence[Bound]:
        """Every listen socket: what a next generation is given."""
        return [*self.control.bound, *self.admin.bound, *self.sockets.bound]

    def connections(self) -> int:
        """Return how many downstream connections this generation has."""
        with Reader(self.region, self.epoch) as reader:
            return reader.gauge("server.total_connections", self.epoch)

    @property
    def begun_with(self) -> int | None:
        """How many connections there were when they were first asked to leave or to move."""
        asked = self.admin_drain.begun_with
        return self._begun_with if asked is None else asked

    def enter(self, phase: Phase) -> None:
        """Go on to the next phase of life."""
        if self.phase is Phase.INITIALISING and phase is Phase.SERVING:
            ServerStats(self.writer).initialization_time_ms.record(process_age() * 1000)
        self.phase = phase
        self._begun_with = self.connections() if phase is Phase.DRAINING else None
        log.info("epoch %d: %s", self.epoch, phase.value)

    async def start(self, nursery: trio.Nursery) -> None:
        """Start the workers in `nursery`, then listen, then let them accept in the parent's place.

        Raises BindFailed, or StartFailed or a group of them.
        """
        for each in self._unwanted():
            each.sock.close()  # while we have it, nobody else can have the port
        if self.parent.absent:
            self.admin.listen()
            self.admin_door.open()
        nursery.start_soon(self.clusters.run)
        await self._get_ready(nursery)
        self.sockets.listen()
        if not self.parent.absent:
            self.admin.listen()
        offers = await self.parent.drain(self._kept(), self.config.drain.parent_shutdown_time)
        self.took_over = True
        alone = self.parent.epoch is None or self.parent.lost
        self.history.note(self.epoch, process_age(), "started" if alone else "took over")
        await self.supervisor.tell(Accept())
        await self.supervisor.adopt(offers)
        self.restart_lock.close()
        self.admin_door.open()
        self.control_door.open()
        self.enter(Phase.SERVING)
        self.notifier.tell(READY=1, MAINPID=os.getpid(), STATUS=f"epoch {self.epoch} serves")

    async def outlive_parent(self) -> None:
        """See the parent off; what it shared with us is ours alone then."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.parent.hear_out)
            await self.parent.see_off(self.config.drain.parent_shutdown_time)
            await self.parent.gone.wait()
        self._own_sockets()

    async def leave(self) -> None:
        """Finish what is in flight, within the shutdown time; returns when no worker is left."""
        if self.phase is not Phase.DRAINING:
            self.enter(Phase.DRAINING)
        self.control_door.close()
        shutdown, within = self.config.shutdown, self.ending.within
        seconds = shutdown.time if within is None else max(within, LAST_WORDS)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel_when, self.ending.urged, nursery.cancel_scope)
            if self.took_over and self.ending.status == 0:
                self._own_sockets()
                nursery.start_soon(self.parent.dismiss, seconds)  # or it would take over again
            if within is None:
                await trio.sleep(shutdown.lame_duck)
            await self.supervisor.tell(Suspend())
            waiting = {bound.listener for bound in self.sockets.ours}
            await self.supervisor.tell(Refuse(tuple(waiting)))
            await self.supervisor.obeyed()  # who waited is let in
            self.sockets.refuse()
            await self.supervisor.shutdown(seconds)
            nursery.cancel_scope.cancel()
        await self.supervisor.terminate()

    async def reopen_logs(self) -> None:
        """Open every log file anew by name, in every process."""
        self.process_log.reopen()
        self.clusters.reopen_logs()
        await self.supervisor.reopen_logs()

    async def _get_ready(self, nursery: trio.Nursery) -> None:
        """Return when all workers and clusters are ready; raises StartFailed where one is not."""
        timeout = self.config.hot_restart.init_timeout
        with trio.move_on_after(timeout):
            await self.supervisor.start(nursery)
            for late in self._late_clusters():
                log.info("waiting for %s", late)
            return await self.clusters.wait_ready()
        late = "; ".join([*self._late_workers(), *self._late_clusters()])
        raise StartFailed(f"not ready in {timeout:g} s: {late} (hot_restart.init_timeout)")

    def _late_workers(self) -> list[str]:
        missing = ", ".join(map(str, self.supervisor.missing()))
        return [f"worker {missing}"] if missing else []

    def _late_clusters(self) -> list[str]:
        return [f"cluster {name}: {why}" for name, why in self.clusters.unready().items()]

    def _own_sockets(self) -> None:
        for bound in self.passable:
            bound.sharers.discard(Sharer.PARENT)
        for each in self._unwanted():
            each.clear()

    def _kept(self) -> list[int]:
        """Return which of the sockets that the parent passed are in use here, too."""
        unwanted = self._unwanted()
        return [place for place, each in enumerate(self.inherited) if each not in unwanted]

    def _unwanted(self) -> list[Inherited]:
        """Return the sockets that were passed and are not in use here."""
        ours = {bound.sock for bound in self.passable}
        return [each for each in self.inherited if each.sock not in ours]


def process_age() -> float:
    """Return the seconds since this process was started, exact to a hundredth."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


async def cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    """Cancel `scope` as soon as `event` is set."""
    await event.wait()
    scope.cancel()
