"""Unix sockets as files: bound with the right mode, stale ones replaced, own ones removed."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from trioproxy.config.address import Address

log = logging.getLogger("trioproxy.main")


def path_of(address: Address) -> Path | None:
    """Return the file that listening at `address` makes, if it does."""
    return Path(address.path) if address.path and not address.path.startswith("@") else None


def bind_path(sock: socket.socket, path: Path, mode: int, *, replace: bool = False) -> None:
    """Bind `sock` to `path`, in place of a socket there that nobody listens on.

    Raises OSError where somebody does and we are not to `replace` it, or where the path is
    something else.
    """
    with _locked(path.parent):
        if is_socket(path) and (replace or refuses(path, sock.type)):
            path.unlink()
        mask = os.umask(0o177)  # until chmod, nobody else may connect
        try:
            sock.bind(str(path))
        finally:
            os.umask(mask)
        path.chmod(mode)


class SocketFile:
    """The file of a bound Unix socket; what somebody else puts in its place is left alone."""

    def __init__(self, path: Path) -> None:
        self._path = self._shown = path
        self._hidden = path.with_name(f".{path.name}.removed")
        self._inode = inode_of(path) if path.exists() else None

    @classmethod
    def of(cls, address: Address) -> Self | None:
        """Return the file of the socket at `address`, if it has one."""
        path = path_of(address)
        return None if path is None else cls(path)

    def hide(self) -> None:
        """Take the name away, so that nobody can connect; hidden already, nothing changes."""
        self._move(self._hidden)

    def show(self) -> None:
        """Give the name back."""
        self._move(self._shown)

    def set_mode(self, mode: str) -> None:
        """Change its permissions to what the octal `mode` says, if it is ours to change."""
        try:
            self._path.chmod(int(mode, 8))
        except OSError as error:
            log.warning("%s keeps its mode: %s", self._path, error.strerror)

    def remove(self) -> None:
        """Unlink it."""
        if self._is_at(self._path):
            self._path.unlink()

    def clear(self, kind: int) -> None:
        """Unlink it, hidden or not, if nobody listens on it any more."""
        for path in (self._shown, self._hidden):
            if self._is_at(path) and refuses(path, kind):
                path.unlink()

    def _move(self, path: Path) -> None:
        for place in (self._shown, self._hidden):  # wherever another process has put it
            if self._is_at(place):
                self._path = place.rename(path)
                return

    def _is_at(self, path: Path) -> bool:
        return path.exists() and inode_of(path) == self._inode


def inode_of(path: Path) -> int:
    """Return the number by which the file is known whatever becomes of its name."""
    return path.lstat().st_ino


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep others who follow the same rule from binding in `directory` meanwhile."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def is_socket(path: Path) -> bool:
    """Say whether there is a socket."""
    return path.exists() and stat.S_ISSOCK(path.lstat().st_mode)


def refuses(path: Path, kind: int) -> bool:
    """Say whether nobody listens on the socket of this `kind` there."""
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) == errno.ECONNREFUSED
