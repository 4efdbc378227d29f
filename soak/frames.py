"""WebSocket frames as far as a session of small messages needs them."""

from __future__ import annotations

import base64
import enum
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 125  # one length byte tells it
KEY = base64.b64encode(b"sixteen bytes it")
ACCEPT = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
MASK = bytes.fromhex("5ac3a53c")


class Opcode(enum.IntEnum):
    """The frames that a session meets."""

    BINARY = 2
    CLOSE = 8


def frame(payload: bytes, opcode: int = Opcode.BINARY, *, masked: bool) -> bytes:
    """Frame a payload of at most 125 bytes; clients mask."""
    if not masked:
        return bytes((0x80 | opcode, len(payload))) + payload
    return bytes((0x80 | opcode, 0x80 | len(payload))) + MASK + mask(payload, MASK)


def mask(payload: bytes, key: bytes) -> bytes:
    """XOR the payload with the repeated key."""
    count = len(payload)
    repeated = (key * (count // 4 + 1))[:count]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(count)


class Frames:
    """Cuts a stream into frames."""

    def __init__(self) -> None:
        self._unread = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield opcode and payload of each frame that `data` completes.

        Raises ValueError for a long one.
        """
        self._unread += data
        while len(self._unread) >= 2:
            opcode, length = self._unread[0] & 0xF, self._unread[1] & 0x7F
            if length > LARGEST:
                raise ValueError("a frame that nobody sent")
            start = 6 if self._unread[1] & 0x80 else 2
            if len(self._unread) < start + length:
                return
            payload = self._unread[start : start + length]
            key, self._unread = self._unread[2:start], self._unread[start + length :]
            yield opcode, mask(payload, key) if key else payload
