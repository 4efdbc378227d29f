"""One generation of a proxy under test: a worker's data plane, and what its main would tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import trio

from trioproxy.config.options import said
from trioproxy.restart.channel import channel_pair
from trioproxy.server.generation import LAST_WORDS

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Mapping, Sequence

    from trioproxy.config.server import Config
    from trioproxy.drain.lifetime import Cause
    from trioproxy.listener.plane import Plane

    Sockets = Mapping[str, Sequence[socket.socket]]


class Generation:
    """What is a process of its own outside of tests; `gone` is set when it has ended."""

    def __init__(self, epoch: int, config: Config, plane: Plane) -> None:
        self.epoch = epoch
        self.config = config
        self.gone = trio.Event()
        self._plane = plane
        self._over = trio.Event()

    def __repr__(self) -> str:
        state = "gone" if self.gone.is_set() else f"{self.connections} connections"
        return f"<Generation {self.epoch}: {state}>"

    @property
    def connections(self) -> int:
        """How many clients it has."""
        return self._plane.active

    @property
    def told(self) -> int:
        """How many of them have had their notice: they are to leave."""
        listeners = cast("Mapping[str, Mapping[str, int]]", self._plane.report()["listeners"])
        return sum(int(each["told"]) for each in listeners.values())

    def accept(self, sockets: Sockets) -> None:
        """Let clients in."""
        self._plane.start(sockets)

    def close(self, listeners: Collection[str]) -> None:
        """Let nobody in any more; at these listeners connects are refused."""
        self._plane.suspend()
        self._plane.refuse(listeners)

    def hand_over(self, successor: Generation) -> None:
        """Offer to another generation, once this one drains for a restart, what can move."""
        offering, adopting = channel_pair()
        self._plane.hand_over(offering)
        successor._plane.adopt(adopting)

    def drain(
        self, cause: Cause, life: float, *, time: float | None = None, immediate: bool | None = None
    ) -> None:
        """Ask connections to leave, and end them after `life` seconds.

        `time` in seconds, and whether that is `immediate`, are as configured unless they are said.
        """
        drain = self.config.drain
        at_once = drain.strategy == "immediate" if immediate is None else immediate
        self._plane.drain(cause, said(time, drain.time), life, immediate=at_once)

    def undrain(self, cause: Cause) -> None:
        """Withdraw a cause to leave; who was told goes on leaving."""
        self._plane.undrain(cause)

    async def end(self, seconds: float) -> None:
        """Have everybody leave within so many seconds; returns when it is gone."""
        if not self._over.is_set():
            await self._plane.shutdown(seconds)
            self._over.set()
        await self.gone.wait()

    async def end_when_empty(self, seconds: float) -> None:
        """Be gone as soon as the last client is, at the latest after so many seconds."""
        with trio.move_on_after(seconds):
            await self._plane.emptied()
        await self.end(LAST_WORDS)

    async def live(self) -> None:
        """Return when it is over."""
        await self._over.wait()
