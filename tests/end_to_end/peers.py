"""Whoever connects to a control socket without being a child."""

from __future__ import annotations

import array
import json
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from instances import PATIENCE

from trioproxy.restart.packets import FIRST, LAST, PIECE
from trioproxy.stats.layout import LAYOUT_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

HELLO = {"epoch": None, "init_timeout": 60.0, "layout": LAYOUT_VERSION}
WHOLE = FIRST | LAST


class Peer:
    """A process that is connected to a control socket, and says what no child should."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.thing = os.open(os.devnull, os.O_RDONLY)  # a descriptor to pass
        self.sock.connect(path)
        self.sock.settimeout(PATIENCE)

    def push(self, piece: bytes, marks: int = WHOLE, fds: Sequence[int] = ()) -> None:
        """Send one packet."""
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
        self.sock.sendmsg([bytes([marks]) + piece], [rights] if fds else [])

    def say(self, name: str, fds: Sequence[int] = (), **fields: object) -> None:
        """Send a message, be it known or not."""
        self.push(json.dumps([name, fields]).encode(), fds=fds)

    def hear_out(self) -> str:
        """Return all that is answered until the other end closes, descriptors left aside."""
        heard = [b"somebody"]
        while heard[-1]:
            with suppress(ConnectionResetError):  # not all was read there; an answer may follow
                heard.append(self.sock.recv(2 * PIECE))
        return b"".join(heard[1:]).decode()

    def close(self) -> None:
        self.sock.close()
        os.close(self.thing)
