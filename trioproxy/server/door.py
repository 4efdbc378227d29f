"""A door: something that is served while it is open, and may be closed and opened again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Door:
    """Closed at first."""

    def __init__(self) -> None:
        self._opened = trio.Event()
        self._serving = trio.CancelScope()

    @property
    def is_open(self) -> bool:
        """Whether it is to be served, or will be at once."""
        return self._opened.is_set()

    def open(self) -> None:
        """Serve; open already, nothing changes."""
        self._opened.set()

    def close(self) -> None:
        """Stop serving; closed already, nothing changes."""
        self._opened = trio.Event()
        self._serving.cancel()

    async def wait_open(self) -> None:
        """Return when it is open, or was just now."""
        await self._opened.wait()

    async def keep(self, serve: Callable[[], Awaitable[None]]) -> None:
        """Run `serve` while the door is open, until it ends by itself."""
        while True:
            await self._opened.wait()
            if not self.is_open:
                continue  # closed again before we came here
            with trio.CancelScope() as self._serving:
                await serve()
                return
