"""Owns the access logs' files: a line goes in without waiting, a thread per file writes it out.

The loop only appends to a queue. The thread wakes once a batch, not once a line, so it asks for the
GIL some twenty times a second, and the write itself runs without it. What a slow disk, a full disk
or a reader that left does not take is lost and counted: it never costs a request its time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from trioproxy.accesslog.output import Outcome, Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.accesslog.record import Record

    Count = Callable[[Outcome, int], None]

GATHER = 0.05
"""Seconds from the first line of a batch to its write."""

QUEUE = 8 << 20
"""Bytes that may wait for one file; lines beyond are lost."""

FLUSH = 1.0
"""Seconds that leaving waits for what is queued."""


class AccessLogs:
    """The log files of a process, one for each path however many loggers name it.

    `count` is told, on any thread, what became of lines, and how often.
    """

    def __init__(self, count: Count, *, queue: int = QUEUE) -> None:
        self._count = count
        self._queue = queue
        self._files: dict[str, LogFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Write out what is queued, for at most FLUSH seconds in all."""
        end = time.monotonic() + FLUSH
        for file in self._files.values():
            file.start_closing()
        for file in self._files.values():
            file.finish_closing(max(0.0, end - time.monotonic()))

    def open(self, path: str) -> LogFile:
        """Return the path's file; raises OSError where it cannot be opened."""
        if path not in self._files:
            self._files[path] = LogFile(path, self._count, self._queue)
        return self._files[path]

    def reopen(self) -> None:
        """Have every path opened anew, for its file may have been renamed; returns at once."""
        for file in self._files.values():
            file.reopen()


class LogFile:
    """A queue of lines and the thread that empties it; all methods are for the loop's thread.

    Raises OSError where the path cannot be opened.
    """

    def __init__(self, path: str, count: Count, queue: int) -> None:
        self._output = Output(path, self._tell)
        self._count = count
        self._abandoned = False
        self._limit = queue
        self._lines: deque[bytes] = deque()
        # Each number has one writer, the loop's thread or the file's, and so needs no lock.
        self._bytes_queued, self._bytes_taken = 0, 0
        self._lines_in_hand = 0
        self._awake = False
        self._reopen = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._writing = threading.Thread(target=self._run, name=f"log {path}", daemon=True)
        self._writing.start()

    def __repr__(self) -> str:
        waiting = self._bytes_queued - self._bytes_taken
        return f"<LogFile {self._output.path} {waiting} bytes waiting>"

    def write(self, line: bytes) -> None:
        """Queue a whole line; it is lost where too much is waiting."""
        if self._bytes_queued - self._bytes_taken >= self._limit:
            self._count(Outcome.DROPPED, 1)
            return
        self._bytes_queued += len(line)
        self._lines.append(line)
        if not self._awake:
            self._awake = True
            self._wake.set()

    def reopen(self) -> None:
        """Have the path opened anew before the next batch; returns at once."""
        self._reopen = True
        self._wake.set()

    def start_closing(self) -> None:
        """Have the thread write what is queued, and end."""
        self._closing.set()
        self._wake.set()

    def finish_closing(self, timeout: float) -> None:
        """Wait for that up to `timeout` seconds; what is not written then is lost."""
        self._writing.join(timeout)
        if self._writing.is_alive():
            self._abandoned = True
            self._count(Outcome.DROPPED, self._lines_in_hand + len(self._lines))

    def _tell(self, outcome: Outcome, number: int) -> None:
        """Pass on what the thread has to tell, unless nobody waits for it any more."""
        if not self._abandoned:
            self._count(outcome, number)

    def _run(self) -> None:
        with self._output:
            while not self._closing.is_set():
                self._wake.wait()
                self._closing.wait(GATHER)
                # First awake, then the queue: a line that comes in between wakes us once more.
                self._wake.clear()
                self._awake = False
                self._write_batch()
            self._write_batch()

    def _write_batch(self) -> None:
        if self._reopen:
            self._reopen = False
            self._output.reopen()
        self._lines_in_hand = len(self._lines)
        lines = [self._lines.popleft() for _ in range(self._lines_in_hand)]
        if lost := self._output.write(lines):
            self._tell(Outcome.DROPPED, lost)
        self._bytes_taken += sum(map(len, lines))
        self._lines_in_hand = 0


class RecordLog:
    """Writes each record that it is called with as a line of a file."""

    def __init__(self, line: Callable[[Record], bytes], file: LogFile) -> None:
        self._line = line
        self._file = file

    def __repr__(self) -> str:
        return f"<RecordLog to {self._file}>"

    def __call__(self, record: Record) -> None:
        """Write a line."""
        self._file.write(self._line(record))
