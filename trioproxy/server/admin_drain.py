"""The drain that an operator asks for: connections leave, listeners close, and all of it undone."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.drain.lifetime import Cause
from trioproxy.server.closing import close, reopen
from trioproxy.server.messages import Accept, Drain, Resume
from trioproxy.server.sockets import Sharer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trioproxy.config import server as config
    from trioproxy.server.sockets import BindFailed, Bound, Sockets
    from trioproxy.server.supervisor import Supervisor


@attrs.define(eq=False)
class AdminDrain:
    """One generation's; it asks connections to leave, and never ends what is in flight."""

    _config: config.Drain
    _sockets: Sockets
    _workers: Supervisor
    _connections: Callable[[], int]
    begun_with: int | None = None  # connections
    closed: bool = False
    _begun: float | None = None  # on Trio's clock, like the next
    _closing: float = inf
    _changed: trio.Event = attrs.field(factory=trio.Event)
    _lock: trio.Lock = attrs.field(factory=trio.Lock)

    @property
    def note(self) -> str:
        """What whoever looks at the generation should know; empty where there is no drain."""
        if self.closed:
            return "closed by request"
        return "" if self._begun is None else "draining by request"

    async def begin(self, closing: float) -> None:
        """Ask connections to leave, and let no new ones in `closing` seconds after that began.

        Where it has begun already, that may only come earlier; inf is never.
        """
        async with self._lock:
            if self._begun is None:
                self._begun = trio.current_time()
                self.begun_with = self._connections()
                await self._workers.tell(
                    Drain(
                        self._config.time,
                        inf,
                        immediate=self._config.strategy == "immediate",
                        cause=Cause.ADMIN.value,
                    )
                )
                await self._workers.obeyed()
            if not self.closed:
                self._closing = min(self._closing, self._begun + closing)
                await self._close_in_time()
                self._changed.set()

    async def cancel(self) -> Sequence[BindFailed]:
        """Let connections in again; who was told to leave goes on leaving.

        Returns what cannot be undone.
        """
        async with self._lock:
            if self._begun is None:
                return []
            self._begun, self._closing, self.begun_with = None, inf, None
            await self._workers.tell(Resume(Cause.ADMIN.value))
            failures: list[BindFailed] = []
            if self.closed:
                self.closed = False
                failures = reopen(self._closable())
                await self._workers.tell(Accept())
            await self._workers.obeyed()
            return failures

    async def run(self) -> None:
        """Close the listeners when it is time, until cancelled."""
        while True:
            self._changed = trio.Event()
            with trio.move_on_at(self._closing):
                await self._changed.wait()
                continue
            async with self._lock:
                await self._close_in_time()

    def lend(self) -> None:
        """Have closed listeners queue who comes: a next generation cannot take what is shut."""
        if self.closed:
            reopen(self._closable())

    def take_back(self) -> None:
        """Close what was lent."""
        if self.closed:
            for bound in self._closable():
                bound.withdraw()

    async def _close_in_time(self) -> None:
        if self._closing <= trio.current_time():
            self.closed, self._closing = True, inf
            await close(self._workers, self._closable())

    def _closable(self) -> list[Bound]:
        """Return the sockets that neither systemd nor a next generation goes on with."""
        return [
            bound
            for bound in self._sockets.bound
            if not bound.lent and Sharer.CHILD not in bound.sharers
        ]
