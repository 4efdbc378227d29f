"""Letting one after the other go, so many seconds apart."""

from __future__ import annotations

import trio

LAG = 0.01  # seconds; who was held up longer makes up for no more of it


class Pace:
    """Gives turns, `pause` seconds apart on average; without a pause, all at once."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._next = trio.current_time() - pause

    def __repr__(self) -> str:
        return f"<Pace of {self._pause:g} s>"

    async def turn(self) -> None:
        """Wait for the next turn."""
        if self._pause:
            self._next = max(self._next + self._pause, trio.current_time() - LAG)
            await trio.sleep_until(self._next)
