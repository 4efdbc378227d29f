"""Pipes for `splice`, borrowed while they hold bytes and returned empty."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

# A pipe's size is what one move takes: with 1 MiB, bulk costs half of what it costs with 256 KiB,
# and with less than that splicing is no better than copying. A user without privileges may have
# 64 MiB of pipes (pipe-user-pages-soft), of at most 1 MiB each (pipe(7)).
PIPE_SIZE = 1024 * 1024
MAX_PIPES = 64


class Pipe:
    """A non-blocking pipe of PIPE_SIZE bytes, with `held` bytes in it; raises OSError."""

    __slots__ = ("held", "read_fd", "write_fd")

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.held = 0
        try:
            fcntl.fcntl(self.write_fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        except OSError:
            self.close()
            raise

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
        """An empty pipe, or None where there is none to be had: then one copies."""
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
