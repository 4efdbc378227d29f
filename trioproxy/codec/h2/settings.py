"""SETTINGS (RFC 9113 section 6.5): what the peer has set, and what we announce."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.errors import ConnectionFailure
from trioproxy.codec.h2.events import ErrorCode

if TYPE_CHECKING:
    from trioproxy.codec.h2.limits import Limits

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6
ENABLE_CONNECT_PROTOCOL: Final = 0x8

PAIR = struct.Struct(">HL")
ASSUMED_STREAMS = 100  # until the peer has said how many it takes


class PeerSettings:
    """What the peer has set; until then the values that the RFC has it begin with."""

    __slots__ = (
        "extended_connect",
        "header_table_size",
        "initial_window",
        "max_frame_size",
        "max_streams",
    )

    def __init__(self) -> None:
        self.header_table_size = 4096
        self.max_streams = ASSUMED_STREAMS
        self.initial_window = frames.DEFAULT_WINDOW
        self.max_frame_size = frames.MIN_FRAME_SIZE
        self.extended_connect = False

    def update(self, payload: bytes) -> None:
        """Take the values of a SETTINGS frame, in order; raises ConnectionFailure.

        Unknown ones are passed over.
        """
        for pair in PAIR.iter_unpack(payload):
            self._set(*pair)

    def _set(self, name: int, value: int) -> None:
        if name == INITIAL_WINDOW_SIZE:
            if value > frames.MAX_WINDOW:
                raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond 2^31-1")
            self.initial_window = value
        elif name == MAX_FRAME_SIZE:
            if not frames.MIN_FRAME_SIZE <= value <= frames.MAX_FRAME_SIZE:
                raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE out of range")
            self.max_frame_size = value
        elif name == HEADER_TABLE_SIZE:
            self.header_table_size = value
        elif name == MAX_CONCURRENT_STREAMS:
            self.max_streams = value
        elif name in (ENABLE_PUSH, ENABLE_CONNECT_PROTOCOL):
            self._switch(name, value)

    def _switch(self, name: int, value: int) -> None:
        if value > 1:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "a setting that is neither 0 nor 1")
        if name == ENABLE_CONNECT_PROTOCOL:
            if self.extended_connect and not value:
                raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "extended CONNECT taken back")
            self.extended_connect = value == 1


def announce(limits: Limits, *, server: bool) -> bytes:
    """Write the SETTINGS that a connection begins with, and the connection's window."""
    values = {
        HEADER_TABLE_SIZE: limits.header_table_size,
        MAX_CONCURRENT_STREAMS: limits.max_concurrent_streams,
        INITIAL_WINDOW_SIZE: limits.stream_window,
        MAX_FRAME_SIZE: limits.max_frame_size,
        MAX_HEADER_LIST_SIZE: limits.max_header_list_size,
    }
    if not server:
        del values[MAX_CONCURRENT_STREAMS]
        values[ENABLE_PUSH] = 0
    elif limits.extended_connect:
        values[ENABLE_CONNECT_PROTOCOL] = 1
    payload = b"".join(PAIR.pack(*pair) for pair in values.items())
    announced = frames.write(frames.SETTINGS, 0, 0, payload)
    more = limits.connection_window - frames.DEFAULT_WINDOW
    return announced + (frames.write_window_update(0, more) if more > 0 else b"")
