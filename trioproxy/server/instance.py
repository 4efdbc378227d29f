"""A generation as the admin interface sees and commands it."""

from __future__ import annotations

import logging
from math import inf
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.admin.instance import State, TooLate
from trioproxy.server.generation import Generation, Phase
from trioproxy.server.log import NAMES, ROOT, set_level
from trioproxy.server.messages import SetHealth, SetLogLevel
from trioproxy.server.progress import progress_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioproxy.clusters.membership import Membership
    from trioproxy.config.address import Address
    from trioproxy.config.options import Options
    from trioproxy.config.server import Config
    from trioproxy.restart.protocol import Attempt, Progress
    from trioproxy.stats.region import Region
    from trioproxy.stats.writer import Writer

STATES = {
    Phase.INITIALISING: State.INITIALIZING,
    Phase.SERVING: State.LIVE,
    Phase.DRAINING: State.DRAINING,
    Phase.TERMINATED: State.DRAINING,
}
COMPONENTS = ("admin", "http", "listener", "log", "main", "worker", "zygote")
"""What logs under a name of its own, in whichever process."""


@attrs.define(eq=False)
class AdminInstance:
    """Satisfies `trioproxy.admin.instance.Instance`, where its methods are explained."""

    generation: Generation

    @property
    def options(self) -> Options:
        return self.generation.options

    @property
    def config(self) -> Config:
        return self.generation.config

    @property
    def base_id(self) -> int:
        return self.generation.base_id

    @property
    def epoch(self) -> int:
        return self.generation.epoch

    @property
    def region(self) -> Region:
        return self.generation.region

    @property
    def writer(self) -> Writer:
        return self.generation.writer

    @property
    def state(self) -> State:
        # Who asked before we gave way is told how the instance is: another generation serves.
        gave_way = not self.generation.admin_door.is_open
        state = State.LIVE if gave_way else STATES[self.generation.phase]
        failed = self.generation.health_failed
        return State.DRAINING if state is State.LIVE and failed else state

    @property
    def uptime(self) -> float:
        return trio.current_time() - self.generation.started

    @property
    def uptime_all_epochs(self) -> float:
        return self.generation.uptime_all_epochs

    @property
    def addresses(self) -> dict[str, Address]:
        return {b.listener: b.local for b in self.generation.sockets.bound if b.index == 0}

    @property
    def memberships(self) -> dict[str, Membership]:
        return self.generation.clusters.memberships

    def unready(self) -> dict[str, str]:
        initialising = self.generation.phase is Phase.INITIALISING
        return self.generation.clusters.unready() if initialising else {}

    @property
    def log_levels(self) -> dict[str, str]:
        levels = {}
        for name in COMPONENTS:
            number = logging.getLogger(f"{ROOT}.{name}").getEffectiveLevel()
            levels[name] = NAMES.get(number, str(number))
        return levels

    async def generations(self) -> Sequence[Progress]:
        ours, parents = await progress_of(self.generation), self.generation.parent.progress
        return [ours] if parents is None else [ours, parents]

    @property
    def history(self) -> Sequence[Attempt]:
        return self.generation.history.attempts

    async def close_connection(self, epoch: int, worker: int, number: int) -> None:
        generation = self.generation
        if epoch == generation.epoch:
            await generation.supervisor.close(worker, number)
        elif epoch != generation.parent.epoch or not await generation.parent.close(worker, number):
            raise TooLate(f"connections of epoch {epoch} cannot be closed from here")

    async def set_log_level(self, level: str, component: str) -> None:
        for name in [component] if component else ["", *COMPONENTS]:
            set_level(level, name)
            await self.generation.supervisor.tell(SetLogLevel(level, name))

    async def reopen_logs(self) -> None:
        await self.generation.reopen_logs()

    async def fail_health(self) -> None:
        await self._set_health(failed=True)

    async def restore_health(self) -> None:
        await self._set_health(failed=False)

    async def drain_listeners(self, *, graceful: bool, keep_open: bool) -> None:
        closing = inf if keep_open else self.config.drain.time if graceful else 0.0
        await self.generation.admin_drain.begin(closing)

    async def cancel_drain(self) -> None:
        if self.generation.ending.asked.is_set():
            raise TooLate("this instance is leaving")
        if failures := await self.generation.admin_drain.cancel():
            raise TooLate("; ".join(map(str, failures)))

    async def _set_health(self, *, failed: bool) -> None:
        self.generation.health_failed = failed
        await self.generation.supervisor.tell(SetHealth(failed))
        await self.generation.supervisor.obeyed()

    def ask_to_leave(self) -> None:
        self.generation.ending.ask("/quitquitquit")
