"""Probing one host: a connection, kept where it may be, and what is said over it in time."""

from __future__ import annotations

import enum
import os
import socket
from typing import TYPE_CHECKING, Protocol

import attrs
import trio

if TYPE_CHECKING:
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
    """Checks one host, as often as it is asked to; close it after the last time."""

    def __init__(self, address: Address, check: ActiveHealthCheck, dialogue: Dialogue) -> None:
        port = check.alt_port
        self._address = attrs.evolve(address, port=port) if port and address.host else address
        self._timeout = check.timeout
        self._reuse = check.reuse_connection
        self._dialogue = dialogue
        self._kept: trio.SocketStream | None = None

    def __repr__(self) -> str:
        return f"<Probe {self._address}, connection {'kept' if self._kept else 'new'}>"

    async def check(self) -> None:
        """Return where the host is well; raises CheckFailed where it is not, or takes too long."""
        with trio.move_on_after(self._timeout) as limit:
            try:
                await self._check()
            except (OSError, trio.BrokenResourceError) as error:
                raise CheckFailed(Failure.NETWORK, reason(error)) from error
        if limit.cancelled_caught:
            raise CheckFailed(Failure.NETWORK_TIMEOUT, f"no answer in {self._timeout:g} s")

    def close(self) -> None:
        """Close the connection that is kept, if there is one."""
        if self._kept is not None:
            self._kept.socket.close()
            self._kept = None

    async def _check(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            try:
                return await self._talk(kept)
            except (HungUp, trio.BrokenResourceError):
                pass  # it was closed while nobody looked, which says nothing about health
        await self._talk(await connect(self._address))

    async def _talk(self, stream: trio.SocketStream) -> None:
        """Talk over a connection and keep it, or close it."""
        good = False
        try:
            good = await self._dialogue(stream) and self._reuse
        finally:
            if good:
                self._kept = stream
            else:
                stream.socket.close()


async def connect(address: Address) -> trio.SocketStream:
    """Connect to `address`; raises OSError."""
    sock = trio.socket.socket(address.family, socket.SOCK_STREAM)
    try:
        await sock.connect(address.sockaddr)
        return trio.SocketStream(sock)  # which sets TCP_NODELAY
    except BaseException:
        sock.close()
        raise


def reason(error: Exception) -> str:
    """Say what went wrong, in the words of the access log: `connection refused`."""
    cause = error if isinstance(error, OSError) else error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    return (os.strerror(number) if number is not None else str(error)).lower()
