"""What a worker asks of the data plane that it runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias

import attrs

if TYPE_CHECKING:
    import socket

    from trioproxy.drain.lifetime import Cause
    from trioproxy.stats.region import Region
    from trioproxy.stats.writer import Writer
    from trioproxy.upstream.accusations import Accusation
    from trioproxy.upstream.member import Member


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

    def refuse(self, listeners: Collection[str], /) -> None:
        """Let in who waits at these listeners, then have the kernel refuse others.

        Called while suspended.
        """

    def close_listeners(self) -> None:
        """Accept no more, ever, and let go of the listen sockets; others may have them, too."""

    def drain(self, cause: Cause, time: float, life: float, /, *, immediate: bool) -> None:
        """Ask connections to leave within `time` seconds and end them after `life` seconds."""

    def hand_over(self, sock: socket.socket, /) -> None:
        """Offer connections that can move to the worker at the other end, from `drain` on."""

    def adopt(self, sock: socket.socket, /) -> None:
        """Take connections that the worker at the other end offers."""

    def undrain(self, cause: Cause, /) -> None:
        """Withdraw a cause to leave; who was already told goes on leaving."""

    def close(self, number: int, /) -> None:
        """Have one connection leave at once, whatever it does; none if it is gone already."""

    async def emptied(self) -> None:
        """Return when no connection is left."""

    async def shutdown(self, seconds: float, /) -> None:
        """Accept no more; return when no connection is left, after `seconds` at the latest.

        May be called again while it runs: the earlier end counts.
        """

    def reopen_logs(self) -> None:
        """Open the access logs anew by name."""

    def set_health(self, *, failed: bool) -> None:
        """Tell whoever checks this worker's health that it is well, or that it is not."""

    def set_hosts(self, cluster: str, members: Sequence[Member], /) -> None:
        """Have a cluster have these hosts from now on, each once; who is gone is drained."""

    async def accusation(self) -> Accusation:
        """Wait until a host has failed too often in a row; returns which."""

    def report(self) -> dict[str, object]:
        """Return this worker's figures for admin, fit for JSON."""


OpenPlane: TypeAlias = Callable[[Identity], AbstractAsyncContextManager[DataPlane]]
"""Builds the data plane, warm but not accepting; what is left at its exit is cut."""
