"""What a worker asks of the data plane that it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias

import attrs

if TYPE_CHECKING:
    import socket

    from trioproxy.stats.region import Region
    from trioproxy.stats.writer import Writer


@attrs.frozen
class Identity:
    """Which worker of which generation this process is, and where its statistics go."""

    epoch: int
    worker: int
    workers: int
    region: Region
    writer: Writer


class DataPlane(Protocol):
    """Everything that serves connections in one worker, from the listen sockets on."""

    def start(self, sockets: Mapping[str, Sequence[socket.socket]], /) -> None:
        """Begin to accept on the listen sockets of each listener, by its name; called once."""

    def suspend(self) -> None:
        """Accept no more; connections do not notice."""

    def resume(self) -> None:
        """Accept again."""

    def drain(self, time: float, life: float, /, *, immediate: bool) -> None:
        """Ask connections to leave within `time` seconds and end them after `life` seconds."""

    def undrain(self) -> None:
        """Ask nobody any more; who was told to leave goes on leaving."""

    async def shutdown(self, seconds: float, /) -> None:
        """Accept no more; return when no connection is left, after `seconds` at the latest.

        May be called again while it runs: the earlier end counts.
        """

    def reopen_logs(self) -> None:
        """Open the access logs anew by name."""

    def reset_counters(self) -> None:
        """Zero this worker's counters."""

    def set_health(self, *, failed: bool) -> None:
        """Tell whoever checks this worker's health that it is well, or that it is not."""

    def report(self) -> dict[str, object]:
        """Return this worker's figures for admin, fit for JSON."""


OpenPlane: TypeAlias = Callable[[Identity], AbstractAsyncContextManager[DataPlane]]
"""Builds the data plane, warm but not accepting; what is left at its exit is cut."""
