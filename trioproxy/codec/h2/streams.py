"""A stream, and what is remembered of those that are over (RFC 9113 section 5.1)."""

from __future__ import annotations

from typing import Final

# What became of a stream.
ENDED: Final = 1  # by END_STREAM both ways
RESET_BY_PEER: Final = 2
RESET_BY_US: Final = 3
NEVER_OPENED: Final = 0

REMEMBERED = 100
REMEMBERED_RESETS = 1000  # what is on its way to those is still to be dropped in silence


class Inflow:
    """How much the peer may send, and what was made of it; all in bytes.

    `room` is what it may still send. `held` is what its owner has and did not acknowledge. `owed`
    is to be given back; that is done in large pieces, by WINDOW_UPDATE.
    """

    __slots__ = ("held", "owed", "room", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.room = window
        self.held = 0
        self.owed = 0

    def release(self, count: int) -> int:
        """Take note that `count` bytes were consumed; returns the increment to send, if any."""
        owed = self.owed + count
        if owed * 2 < self.window:
            self.owed = owed
            return 0
        self.owed = 0
        self.room += owed
        return owed


class Stream:
    """A stream that is not over.

    `receiving`: the peer has not ended it. `sending`: we have not. `room` is what we may send,
    `expected` what the peer has to send yet by its Content-Length, -1 if it named none. `inflow`
    comes with the first DATA. `headed`: the peer has sent its head, `answered`: a server its own;
    interim responses do not count.
    """

    __slots__ = (
        "answered",
        "expected",
        "headed",
        "inflow",
        "method",
        "receiving",
        "room",
        "sending",
    )

    def __init__(self, method: str, room: int, *, receiving: bool, sending: bool) -> None:
        self.method = method
        self.room = room
        self.receiving = receiving
        self.sending = sending
        self.expected = -1
        self.answered = False
        self.headed = False
        self.inflow: Inflow | None = None


class Past:
    """What became of the streams that are over, as far back as their peers may not know it."""

    __slots__ = ("_ended", "_reset")

    def __init__(self) -> None:
        self._ended: dict[int, int] = {}
        self._reset: dict[int, int] = {}

    def add(self, stream_id: int, fate: int) -> None:
        """Remember what became of a stream."""
        fates, room = self._ended, REMEMBERED
        if fate == RESET_BY_US:
            fates, room = self._reset, REMEMBERED_RESETS
        fates[stream_id] = fate
        if len(fates) > room:
            del fates[next(iter(fates))]

    def fate(self, stream_id: int) -> int:
        """Return what became of a stream; NEVER_OPENED too where that is too long ago."""
        return self._reset.get(stream_id) or self._ended.get(stream_id, NEVER_OPENED)
