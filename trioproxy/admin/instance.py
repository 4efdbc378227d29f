"""What the admin interface asks of the generation that it shows."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trioproxy.clusters.membership import Membership
    from trioproxy.config.address import Address
    from trioproxy.config.options import Options
    from trioproxy.config.server import Config
    from trioproxy.restart.protocol import Attempt, Progress
    from trioproxy.stats.region import Region
    from trioproxy.stats.writer import Writer


class State(enum.IntEnum):
    """What `/ready` answers; the values are those of the gauge `server.state`."""

    LIVE = 0
    DRAINING = 1
    PRE_INITIALIZING = 2
    INITIALIZING = 3


class TooLate(Exception):
    """What was asked for cannot be done any more; the text says why."""


class Instance(Protocol):
    """One generation, as whoever looks in from outside may see and command it."""

    @property
    def options(self) -> Options:
        """What the command line says."""

    @property
    def config(self) -> Config:
        """What is served, as the command line leaves it."""

    @property
    def base_id(self) -> int:
        """The base id in use, chosen by the operator or dynamic."""

    @property
    def epoch(self) -> int:
        """How many generations were before this one."""

    @property
    def state(self) -> State:
        """Where in its life it is; DRAINING while it leaves, or its health was failed."""

    @property
    def uptime(self) -> float:
        """Seconds since this generation started."""

    @property
    def uptime_all_epochs(self) -> float:
        """Seconds since the first generation started."""

    @property
    def region(self) -> Region:
        """Where all processes keep their statistics."""

    @property
    def writer(self) -> Writer:
        """Main's own block in there."""

    @property
    def addresses(self) -> Mapping[str, Address]:
        """Where each listener really listens, by its name: port 0 has become a port."""

    @property
    def memberships(self) -> Mapping[str, Membership]:
        """The hosts of each cluster, by its name."""

    def unready(self) -> Mapping[str, str]:
        """Return what is missing to each cluster that the start waits for, by its name."""

    @property
    def log_levels(self) -> Mapping[str, str]:
        """The level of each component that logs, by name."""

    @property
    def history(self) -> Sequence[Attempt]:
        """What became of the latest attempts to start a generation, the oldest first."""

    async def generations(self) -> Sequence[Progress]:
        """Return what this generation's connections do, and those of one that leaves."""

    async def close_connection(self, epoch: int, worker: int, number: int) -> None:
        """Have a connection leave at once, if it is still there. Raises TooLate."""

    async def set_log_level(self, level: str, component: str) -> None:
        """Have every process log `component`, or everything where it is empty, from `level` on."""

    async def reopen_logs(self) -> None:
        """Have every process open its log files anew by name."""

    async def fail_health(self) -> None:
        """Be DRAINING to whoever asks, though still serving."""

    async def restore_health(self) -> None:
        """Be LIVE again."""

    async def drain_listeners(self, *, graceful: bool, keep_open: bool) -> None:
        """Ask connections to leave over the drain time, and let no new ones in.

        `graceful`: these are refused only when the time is over; `keep_open`: never.
        """

    async def cancel_drain(self) -> None:
        """Undo that: let connections in; who was told to leave goes on leaving. Raises TooLate."""

    def ask_to_leave(self) -> None:
        """Finish what is in flight and exit."""
