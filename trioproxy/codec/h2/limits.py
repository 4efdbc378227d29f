"""What a connection allows its peer: what SETTINGS announces, and how much nonsense it stands."""

from __future__ import annotations

import attrs


@attrs.frozen
class Limits:
    """The bounds of one connection; all but the first block are about attacks.

    The `max_*_frames` and `max_resets` count since the last `Connection.relax()`. Who exceeds one
    has the connection ended by GOAWAY(ENHANCE_YOUR_CALM); the event says which by its name here.
    """

    max_concurrent_streams: int = 100  # streams of the peer at a time; one more is REFUSED_STREAM
    stream_window: int = 65_535  # bytes of a body that may come before they are acknowledged
    connection_window: int = 1_048_576  # the same over all streams; at least 65,535
    max_frame_size: int = 16_384  # bytes of payload in a frame of the peer
    header_table_size: int = 4096  # bytes of either side's HPACK table
    extended_connect: bool = True  # a server takes CONNECT with :protocol (RFC 8441)

    max_header_list_size: int = 65_536  # bytes by RFC 7541 section 4.1; more is answered with 431,
    # and more than four times as much ends the connection
    max_header_fields: int = 200  # fields in one block; more is answered with 431
    max_header_block_size: int = 131_072  # bytes as they come, HEADERS and CONTINUATION together
    max_continuation_frames: int = 16  # CONTINUATION frames behind one HEADERS

    max_resets: int = 200  # streams that the peer reset, had reset by an error, or had refused
    max_ping_frames: int = 1000
    max_settings_frames: int = 100
    max_empty_frames: int = 200  # DATA that neither carries nor ends anything
    max_idle_frames: int = 1000  # not heeded: PRIORITY, unknown types, what comes late
    max_window_update_frames: int = 2000  # on top of ten for each DATA frame sent
