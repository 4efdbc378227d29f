"""Frames as bytes (RFC 9113 sections 4 and 6): their types and flags, and how they are written."""

from __future__ import annotations

import struct
from typing import Final

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_SIZE: Final = 9
PRIORITY_SIZE: Final = 5
MAX_STREAM_ID: Final = 0x7FFFFFFF
MAX_WINDOW: Final = 0x7FFFFFFF
DEFAULT_WINDOW: Final = 65_535
MIN_FRAME_SIZE: Final = 16_384
MAX_FRAME_SIZE: Final = 16_777_215

# The length is three bytes: one, then two.
HEAD = struct.Struct(">BHBBL")
pack_head = HEAD.pack
unpack_head = HEAD.unpack_from
WORD = struct.Struct(">L")
TWO_WORDS = struct.Struct(">LL")


def write(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Write a frame; the payload has at most 65,535 bytes."""
    return pack_head(0, len(payload), kind, flags, stream_id) + payload


def write_head(kind: int, flags: int, stream_id: int, size: int) -> bytes:
    """Write what stands before `size` bytes of payload."""
    return pack_head(size >> 16, size & 0xFFFF, kind, flags, stream_id)


def write_block(stream_id: int, block: bytes, max_size: int, *, ended: bool) -> bytes:
    """Write a header block as one HEADERS and as many CONTINUATION frames as it needs."""
    flags = END_STREAM if ended else 0
    if len(block) <= max_size:
        return write_head(HEADERS, flags | END_HEADERS, stream_id, len(block)) + block
    parts = [write_head(HEADERS, flags, stream_id, max_size), block[:max_size]]
    for start in range(max_size, len(block), max_size):
        piece = block[start : start + max_size]
        last = END_HEADERS if start + max_size >= len(block) else 0
        parts += [write_head(CONTINUATION, last, stream_id, len(piece)), piece]
    return b"".join(parts)


def write_rst_stream(stream_id: int, code: int) -> bytes:
    """Write RST_STREAM."""
    return write(RST_STREAM, 0, stream_id, WORD.pack(code))


def write_window_update(stream_id: int, increment: int) -> bytes:
    """Write WINDOW_UPDATE; stream 0 is the connection."""
    return write(WINDOW_UPDATE, 0, stream_id, WORD.pack(increment))


def write_goaway(last_stream_id: int, code: int, debug: bytes) -> bytes:
    """Write GOAWAY; of `debug` the first kilobyte."""
    return write(GOAWAY, 0, 0, TWO_WORDS.pack(last_stream_id, code) + debug[:1024])
