"""Unix sockets as files: bound with the right mode, stale ones replaced, own ones removed."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


def inode_of(path: Path) -> int:
    """Return the number by which the file is known whatever becomes of its name."""
    return path.lstat().st_ino


def unlink_own(path: Path, inode: int) -> None:
    """Remove a path, unless somebody else has put theirs there."""
    if path.exists() and inode_of(path) == inode:
        path.unlink()


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
