"""The bytes that long transfers and sessions carry: each position in the stream is recognisable."""

from __future__ import annotations

import random

# A prime number of bytes: data lost, doubled or swapped in the powers of two that buffers have is
# never mistaken for the right data.
PERIOD = 65521
_BLOCK = random.Random(PERIOD).randbytes(PERIOD) * 2


def stretch(position: int, count: int) -> bytes:
    """Return the `count` bytes, at most PERIOD, of the stream from `position` on."""
    start = position % PERIOD
    return _BLOCK[start : start + min(count, PERIOD)]


class Track:
    """Follows a stream from its first byte on and knows whether all of it was right."""

    def __init__(self) -> None:
        self.position = 0

    def follow(self, data: bytes) -> bool:
        """Whether `data` is what comes next; it counts as read if so."""
        view = memoryview(data)
        for start in range(0, len(data), PERIOD):
            piece = view[start : start + PERIOD]
            if piece != stretch(self.position, len(piece)):
                return False
            self.position += len(piece)
        return True
