"""What the kernel has counted of a connection: it costs nothing to those that nobody looks at."""

from __future__ import annotations

import socket
import struct

# `struct tcp_info` of linux/tcp.h: tcpi_bytes_acked and tcpi_bytes_received, since Linux 4.1.
OFFSET = 120
BYTES = struct.Struct("QQ")


def bytes_of(sock: socket.socket) -> tuple[int, int] | None:
    """Return how many bytes were received, and sent and acknowledged, in all processes that had it.

    None where the kernel does not count: of a Unix socket, or one that is closed.
    """
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, OFFSET + BYTES.size)
        sent, received = BYTES.unpack_from(info, OFFSET)
    except (OSError, struct.error):
        return None
    return received, sent
