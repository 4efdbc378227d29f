"""What became of the latest attempts to start a generation; each one hands it on to the next."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING

from trioproxy.restart.protocol import Attempt

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 16


class History:
    """The latest attempts, the oldest first."""

    def __init__(self, attempts: Iterable[Attempt] = ()) -> None:
        self.attempts = tuple(attempts)[-MOST:]

    def note(self, epoch: int, seconds: float, outcome: str) -> None:
        """Take note of what became of an attempt that was begun so many seconds ago."""
        attempt = Attempt(epoch, time_ns() / 1e9 - seconds, seconds, outcome)
        self.attempts = (*self.attempts, attempt)[-MOST:]
