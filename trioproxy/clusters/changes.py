"""Something changes now and then; whoever cares is woken, and misses no change."""

from __future__ import annotations

import trio


class Changes:
    """Counts changes.

    seen = -1
    while True:
        seen = await changes.beyond(seen)
        ...  # look at what is there now
    """

    def __init__(self) -> None:
        self.count = 0
        self._waiting = trio.lowlevel.ParkingLot()

    def note(self) -> None:
        """There is one more."""
        self.count += 1
        self._waiting.unpark_all()

    async def beyond(self, seen: int) -> int:
        """Return the count once it is not `seen` any more: at once where it is not now."""
        while self.count == seen:
            await self._waiting.park()
        return self.count
