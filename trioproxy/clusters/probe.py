"""Probing one host: a connection, kept where it may be, and what is said over it in time."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

import attrs
import trio

from trioproxy.clusters.connecting import NotSecure, hang_up, reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trioproxy.clusters.connecting import Stream
    from trioproxy.config.address import Address
    from trioproxy.config.health_check import ActiveHealthCheck


class Failure(enum.Enum):
    """How a check can fail, by Envoy's names."""

    ACTIVE = "the host answered that it is not well"
    NETWORK = "no answer, or none that makes sense"
    NETWORK_TIMEOUT = "no answer in time"


class CheckFailed(Exception):
    """A check was not passed; `decisive`: the host itself said so, one such answer is enough."""

    def __init__(self, kind: Failure, detail: str, *, decisive: bool = False) -> None:
        super().__init__(detail)
        self.kind = kind
        self.decisive = decisive


class HungUp(CheckFailed):
    """The host closed the connection before it answered anything."""

    def __init__(self, detail: str = "closed before it answered") -> None:
        super().__init__(Failure.NETWORK, detail)


class Dialogue(Protocol):
    """What is said over a connection to find out how a host is."""

    async def __call__(self, stream: trio.abc.Stream, /) -> bool:
        """Return whether the connection can be used again; raises CheckFailed or OSError."""


class Probe:
    """Checks one host, as often as it is asked to; close it after the last time.

    `connect` raises OSError, trio.BrokenResourceError or NotSecure.
    """

    def __init__(
        self,
        address: Address,
        check: ActiveHealthCheck,
        dialogue: Dialogue,
        connect: Callable[[Address], Awaitable[Stream]],
    ) -> None:
        port = check.alt_port
        self._address = attrs.evolve(address, port=port) if port and address.host else address
        self._timeout = check.timeout
        self._reuse = check.reuse_connection
        self._dialogue = dialogue
        self._connect = connect
        self._kept: Stream | None = None

    def __repr__(self) -> str:
        return f"<Probe {self._address}, connection {'kept' if self._kept else 'new'}>"

    async def check(self) -> None:
        """Return where the host is well; raises CheckFailed where it is not, or takes too long."""
        with trio.move_on_after(self._timeout) as limit:
            try:
                await self._check()
            except (OSError, trio.BrokenResourceError, NotSecure) as error:
                raise CheckFailed(Failure.NETWORK, reason(error)) from error
        if limit.cancelled_caught:
            raise CheckFailed(Failure.NETWORK_TIMEOUT, f"no answer in {self._timeout:g} s")

    def close(self) -> None:
        """Close the connection that is kept, if there is one."""
        if self._kept is not None:
            hang_up(self._kept)
            self._kept = None

    async def _check(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            try:
                return await self._talk(kept)
            except (HungUp, trio.BrokenResourceError):
                pass  # it was closed while nobody looked, which says nothing about health
        await self._talk(await self._connect(self._address))

    async def _talk(self, stream: Stream) -> None:
        """Talk over a connection and keep it, or close it."""
        good = False
        try:
            good = await self._dialogue(stream) and self._reuse
        finally:
            if good:
                self._kept = stream
            else:
                hang_up(stream)
