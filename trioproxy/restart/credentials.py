"""Who is at the other end of a Unix socket: the kernel says, and only some users may be."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Collection

UCRED = struct.Struct("iII")
ROOT = 0


class Stranger(Exception):
    """The peer runs as a user that has no business here; the text names it."""


@attrs.frozen
class Credentials:
    """A peer as of its connect or listen; the pid is for logs alone, it may be another's by now."""

    pid: int
    uid: int
    gid: int

    @classmethod
    def of(cls, sock: socket.socket) -> Credentials:
        """Ask the kernel."""
        return cls(
            *UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
        )

    def __str__(self) -> str:
        return f"pid {self.pid}, uid {self.uid}"


def check_peer(sock: socket.socket, allow_uids: Collection[int]) -> Credentials:
    """Return who the peer is; raises Stranger unless it is root, our own user, or allowed."""
    peer = Credentials.of(sock)
    if peer.uid not in {ROOT, os.geteuid(), *allow_uids}:
        raise Stranger(
            f"a peer runs as uid {peer.uid}: neither root, nor our own {os.geteuid()},"
            " nor in hot_restart.allow_uids"
        )
    return peer
