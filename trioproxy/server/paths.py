"""Unix sockets as files: bound with the right mode, stale ones replaced, own ones removed."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


log = logging.getLogger("trioproxy.main")


def bind_path(sock: socket.socket, path: Path, mode: int) -> None:
    """Bind `sock` to `path`, in place of a socket there that nobody listens on.

    Raises OSError where somebody does, or where the path is something else.
    """
    with _locked(path.parent):
        _clear_stale(path, sock.type)
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
        self._inode = inode_of(path) if path.exists() else None

    def hide(self) -> None:
        """Take the name away, so that nobody can connect; hidden already, nothing changes."""
        self._move(self._shown.with_name(f".{self._shown.name}.removed"))

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
        if self._is_ours():
            self._path.unlink()

    def _move(self, path: Path) -> None:
        if self._is_ours():
            self._path = self._path.rename(path)

    def _is_ours(self) -> bool:
        return self._path.exists() and inode_of(self._path) == self._inode


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


def _clear_stale(path: Path, kind: int) -> None:
    """Unlink a socket that refuses connections; anything else stays, for bind to fail on."""
    if not path.exists() or not stat.S_ISSOCK(path.lstat().st_mode):
        return
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)
        error = probe.connect_ex(str(path))
    if error == errno.ECONNREFUSED:
        path.unlink()
