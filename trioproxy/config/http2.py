"""HTTP/2 on one connection, to clients or to endpoints: how much goes on at a time."""

from typing import Annotated

import attrs

from trioproxy.config.marks import Count, Range
from trioproxy.config.units import Bytes, Seconds

LARGEST_WINDOW = (1 << 31) - 1


@attrs.frozen
class Http2Options:
    """Bounds of an HTTP/2 connection."""

    max_concurrent_streams: Annotated[Count, "The most streams at a time"] = 100
    initial_stream_window_size: Annotated[
        Bytes, Range(65535, LARGEST_WINDOW), "What of a body is held at most, for each stream"
    ] = 256 * 1024
    initial_connection_window_size: Annotated[
        Bytes, Range(65535, LARGEST_WINDOW), "The same for all streams of a connection together"
    ] = 1 << 20
    keepalive_interval: Annotated[
        Seconds, "A PING goes out where nothing was heard for so long; 0: never"
    ] = 0.0
    keepalive_timeout: Annotated[
        Seconds, "The connection is closed where a PING has no answer for so long"
    ] = 10.0


DOWNSTREAM = Http2Options()
# A client that does not read must not hold up the others on the connection to the upstream.
UPSTREAM = Http2Options(initial_connection_window_size=16 << 20)
