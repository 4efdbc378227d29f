"""Listen sockets that somebody else bound: a parent, or systemd."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import attrs

from trioproxy.config.address import Address
from trioproxy.server.paths import SocketFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trioproxy.server.sockets import Wanted

FIRST_SYSTEMD_FD = 3


@attrs.frozen(eq=False)
class Inherited:
    """A socket that somebody else bound, and what was configured there.

    `lent`: it is systemd's for ever. Else it is a parent's.
    """

    listener: str
    address: Address
    sock: socket.socket
    lent: bool
    file: SocketFile | None = attrs.field(
        init=False, default=attrs.Factory(lambda self: SocketFile.of(self.address), takes_self=True)
    )

    def fits(self, want: Wanted) -> bool:
        """Say whether this is what is wanted; only for a port 0 does the name matter."""
        if self.sock.type != want.kind:
            return False
        if self.address == want.address and (
            not want.address.free or self.listener == want.listener
        ):
            return True
        return local_address(self.sock) == want.address

    def crosses(self, want: Wanted) -> bool:
        """Say whether it has the port that is wanted, perhaps of all addresses where one is."""
        local = local_address(self.sock)
        return local.family == want.address.family and local.port == want.address.port != 0

    def clear(self) -> None:
        """Remove the file of a parent that died before it could."""
        if self.file is not None and not self.lent:
            self.file.clear(self.sock.type)


def systemd_sockets(environment: Mapping[str, str], pid: int) -> list[Inherited]:
    """Take over the sockets that systemd passed to the process `pid`, if to that one."""
    if environment.get("LISTEN_PID") != str(pid):
        return []
    count = int(environment.get("LISTEN_FDS", "0"))
    passed = range(FIRST_SYSTEMD_FD, FIRST_SYSTEMD_FD + count)
    for fd in passed:
        os.set_inheritable(fd, False)
    sockets = [socket.socket(fileno=fd) for fd in passed]
    return [Inherited("", local_address(sock), sock, lent=True) for sock in sockets]


def local_address(sock: socket.socket) -> Address:
    """Return where a socket is bound."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        path = f"@{name[1:].decode()}" if isinstance(name, bytes) else name
        return Address(socket.AF_UNIX, path=path)
    return Address(sock.family, name[0], name[1])
