"""WebSocket frames, as far as a proxy has to know them that lets them pass (RFC 6455 section 5).

It has to know where a frame ends, for only there may it say something of its own: goodbye.
"""

from __future__ import annotations

CLOSE = 0x88  # FIN and opcode 8
MASKED = 0x80
LENGTH = 0x7F
SHORTEST_HEADER = 2
GOING_AWAY, SERVICE_RESTART = 1001, 1012


class FrameTracker:
    """Follows the frames of one direction; `boundary` tells that the next byte begins one."""

    __slots__ = ("_header", "left")

    def __init__(self) -> None:
        self._header = b""
        self.left = 0

    def __repr__(self) -> str:
        return f"<FrameTracker {self.left} bytes left>"

    @property
    def boundary(self) -> bool:
        """Whether the frame is over."""
        return not self.left and not self._header

    @property
    def state(self) -> str:
        """Where it stands, as a text from which `at` makes another one."""
        return f"{self.left}:{self._header.hex()}"

    @classmethod
    def at(cls, state: str) -> FrameTracker:
        """Go on where another one was; raises ValueError."""
        left, _, header = state.partition(":")
        tracker = cls()
        tracker.left, tracker._header = int(left), bytes.fromhex(header)
        return tracker

    def feed(self, data: bytes | memoryview) -> None:
        """Take note of what has passed."""
        position, end = 0, len(data)
        while position < end:
            if self.left:
                step = min(self.left, end - position)
                self.left -= step
            else:
                step = min(self._missing(), end - position)
                self._header += data[position : position + step]
                if not self._missing():
                    self.left = payload_length(self._header)
                    self._header = b""
            position += step

    def _missing(self) -> int:
        """Return how many bytes of the header are still to come, as far as one can know."""
        header = self._header
        if len(header) < SHORTEST_HEADER:
            return SHORTEST_HEADER - len(header)
        return header_length(header) - len(header)


def header_length(header: bytes) -> int:
    """Return the length of a frame's header, of which the first two bytes are there."""
    length = header[1] & LENGTH
    extended = 8 if length == 127 else 2 if length == 126 else 0
    return SHORTEST_HEADER + extended + (4 if header[1] & MASKED else 0)


def payload_length(header: bytes) -> int:
    """Return how many bytes follow a whole header."""
    length = header[1] & LENGTH
    if length == 126:
        return int.from_bytes(header[2:4], "big")
    if length == 127:
        return int.from_bytes(header[2:10], "big")
    return length


def close_frame(code: int, mask: bytes = b"") -> bytes:
    """Write a close frame; what a client says has a `mask` of four random bytes."""
    payload = code.to_bytes(2, "big")
    if not mask:
        return bytes((CLOSE, len(payload))) + payload
    masked = bytes(byte ^ key for byte, key in zip(payload, mask, strict=False))
    return bytes((CLOSE, MASKED | len(payload))) + mask + masked
