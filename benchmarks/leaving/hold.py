"""Clients that ask once, and then hold their connections: `hold PORT NUMBER`.

Says so when all are answered, and ends when all are closed.
"""

from __future__ import annotations

import select
import socket
import sys

from trioproxy.server.limits import raise_descriptor_limit

ASK = b"GET / HTTP/1.1\r\nHost: leaving\r\n\r\n"


def main(port: int, count: int) -> int:
    """Ask, hold, and let go; returns the exit status."""
    raise_descriptor_limit()
    poll, socks = select.epoll(), {}
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(ASK)
        heard = b""
        while not heard.endswith(b"\r\n\r\n"):
            piece = sock.recv(1000)
            if not piece:
                return 1
            heard += piece
        poll.register(sock, select.EPOLLIN)
        socks[sock.fileno()] = sock
    print("held", flush=True)
    while socks:
        for fd, _ in poll.poll():
            socks.pop(fd).close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
