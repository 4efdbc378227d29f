"""Pipes for `splice`, borrowed while they hold bytes and returned empty."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

# Past the soft limit of a user's pipe pages the kernel hands out pipes of 8 KiB (pipe(7)).
MAX_PIPES = 256
PIPE_SIZE = 256 * 1024


class Pipe:
    """A non-blocking pipe of `size` bytes, with `held` bytes in it."""

    __slots__ = ("held", "read_fd", "size", "write_fd")

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.held = 0
        with contextlib.suppress(OSError):  # the user's share is used up: the default size will do
            fcntl.fcntl(self.write_fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        self.size = fcntl.fcntl(self.write_fd, fcntl.F_GETPIPE_SZ)

    def drain(self) -> bytes:
        """Take out what is held."""
        data = os.read(self.read_fd, self.held)
        self.held = 0
        return data

    def close(self) -> None:
        """Close both ends, whatever is in between."""
        os.close(self.read_fd)
        os.close(self.write_fd)


class PipePool:
    """At most `limit` pipes; leaving the block closes the idle ones."""

    def __init__(self, limit: int = MAX_PIPES) -> None:
        self._idle: list[Pipe] = []
        self._left = limit

    def __repr__(self) -> str:
        return f"<PipePool {len(self._idle)} idle, {self._left} more allowed>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._idle:
            self._idle.pop().close()
            self._left += 1

    def take(self) -> Pipe | None:
        """An empty pipe, or None where there is none to be had: then copy."""
        if self._idle:
            return self._idle.pop()
        if self._left <= 0:
            return None
        try:
            pipe = Pipe()
        except OSError:
            return None
        self._left -= 1
        return pipe

    def give_back(self, pipe: Pipe) -> None:
        """Keep the pipe, which is empty, for the next one who asks."""
        self._idle.append(pipe)
