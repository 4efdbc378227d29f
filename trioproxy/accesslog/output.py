"""Appends whole lines to one file, pipe or terminal; what it cannot take is lost and counted."""

from __future__ import annotations

import enum
import logging
import os
import select
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
"""Paths that mean a descriptor the process was started with: never opened, reopened or closed."""

_log = logging.getLogger(__name__)


class Outcome(enum.Enum):
    """What came of an attempt to write lines, or to reopen their file."""

    WRITTEN = "a batch was written"
    FAILED = "a write failed"
    DROPPED = "lines were lost"
    NOT_REOPENED = "the file could not be opened anew"


def ignore(outcome: Outcome, number: int) -> None:
    """Count nothing."""


class Output:
    """Where a log's lines end up. Its calls block; raises OSError where `path` cannot be opened.

    Lines stay whole. A regular file is opened to append and gets a batch in one write, which the
    kernel keeps apart from the writes of other processes. For a pipe that holds up to PIPE_BUF
    bytes, so there a batch goes out in pieces of that size. Where a disk fills up within a line,
    the line's rest is kept and goes first when there is room again. `count` is told how each
    write ended.
    """

    def __init__(self, path: str, count: Callable[[Outcome, int], None] = ignore) -> None:
        self.path = path
        self._count = count
        self._standard = path in STANDARD
        self._fd = STANDARD[path] if self._standard else _open(path)
        self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._rest = b""
        self._failing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._standard:
            os.close(self._fd)

    def write(self, lines: Sequence[bytes]) -> int:
        """Append `lines`; return how many of them were lost."""
        return sum(map(self._write, self._pieces(lines)))

    def reopen(self) -> None:
        """Open the path anew; where that fails, go on with the old file."""
        if self._standard:
            return
        try:
            fd = _open(self.path)
        except OSError as error:
            self._count(Outcome.NOT_REOPENED, 1)
            self._complain(error)
            return
        with suppress(OSError):
            os.write(self._fd, self._rest)
        os.close(self._fd)
        self._fd, self._rest = fd, b""
        self._regular = stat.S_ISREG(os.fstat(fd).st_mode)

    def _pieces(self, lines: Sequence[bytes]) -> Iterator[bytes]:
        if self._regular:
            yield b"".join(lines)
            return
        piece = b""
        for line in lines:
            if len(piece) + len(line) > select.PIPE_BUF:
                yield piece
                piece = b""
            piece += line
        yield piece

    def _write(self, piece: bytes) -> int:
        """Write lines; return how many were lost."""
        data = self._rest + piece
        written = self._write_out(data)
        rest = data[written:]
        in_a_line = not data[:written].endswith(b"\n") if written else bool(self._rest)
        self._rest = b"".join(rest.partition(b"\n")[:2]) if in_a_line else b""
        return rest.count(b"\n") - self._rest.count(b"\n")

    def _write_out(self, data: bytes) -> int:
        """Write until all is out or an error says no; return how many bytes are out."""
        written = 0
        while written < len(data):
            try:
                written += os.write(self._fd, data[written:])
                self._failing = False
            except BlockingIOError:
                # Somebody else who shares the descriptor made it non-blocking.
                select.select([], [self._fd], [])
            except OSError as error:
                self._count(Outcome.FAILED, 1)
                self._complain(error)
                return written
        if data:
            self._count(Outcome.WRITTEN, 1)
        return written

    def _complain(self, error: OSError) -> None:
        if not self._failing:
            _log.warning("access log %s: %s; lines are lost", self.path, error.strerror)
        self._failing = True


def _open(path: str) -> int:
    # Non-blocking only while it is opened: a pipe that nobody reads is an error, not a wait.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    fd = os.open(path, flags, 0o640)
    os.set_blocking(fd, True)
    return fd
