"""A flow: one direction of a pump, by copying and, where the stream is bulk, by `splice`.

A flow reads only when everything it holds has been written: that is the back-pressure, and it
keeps `splice` unambiguous: a pipe is filled only when it is empty, so EAGAIN can only mean that
the source has nothing. A pipe is borrowed only while there are bytes in it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trioproxy.reactor.epoll import IN, OUT

if TYPE_CHECKING:
    from trioproxy.reactor.pipes import Pipe, PipePool
    from trioproxy.reactor.transport import Transport

COPY_SIZE = 64 * 1024
MOVES_PER_TURN = 4
FULL_BUFFERS_BEFORE_SPLICE = 2
SMALL_SPLICE = 16 * 1024
SMALL_SPLICES_BEFORE_COPY = 8
SPLICE_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


class Flow:
    """Bytes from `source` to `sink`, at most `limit` of them (None: until the end).

    `held` are bytes read from the source already; they count. `done` once everything was sent: at
    the limit, or at the end of the source, which is passed on as a half-close if `half_close`.
    """

    __slots__ = (
        "bulk",
        "done",
        "ended",
        "half_close",
        "held",
        "limit",
        "moved",
        "pipe",
        "sink",
        "source",
        "streak",
    )

    def __init__(
        self,
        source: Transport,
        sink: Transport,
        *,
        held: bytes = b"",
        limit: int | None = None,
        half_close: bool = True,
    ) -> None:
        self.source, self.sink = source, sink
        self.held: bytes | memoryview = held
        self.limit = limit
        self.half_close = half_close
        self.moved = 0
        self.ended = False
        self.done = False
        self.bulk = False
        self.streak = 0
        self.pipe: Pipe | None = None

    @property
    def stirred(self) -> bool:
        """Whether a try may move something."""
        return not self.done and bool(
            self.source.ready & IN or self.held or self.pipe or self.moved == self.limit
        )

    def move(self, pipes: PipePool) -> bool:
        """Move what can be moved now; returns whether only the bound on work stopped it.

        Raises the OSError of either socket.
        """
        for _ in range(MOVES_PER_TURN):
            if not self._step(pipes):
                return False
        return not self.done

    def _step(self, pipes: PipePool) -> bool:
        if self.held:
            return self._send(self.held)
        if self.pipe is not None:
            return self._empty(self.pipe, pipes)
        if self.ended or self.moved == self.limit:
            return self._finish()
        if not self.source.ready & IN:
            return False
        if self.bulk:
            self.pipe = pipes.take()
            if self.pipe is not None:
                return self._fill(self.pipe, pipes)
        return self._copy()

    def _finish(self) -> bool:
        self.done = True
        if self.half_close and self.ended:
            self.sink.shutdown_write()
        return False

    def _copy(self) -> bool:
        size = COPY_SIZE if self.limit is None else min(COPY_SIZE, self.limit - self.moved)
        data = self.source.receive_nowait(size)
        if data is None:
            return False
        if not data:
            self.ended = True
            return True
        if len(data) == COPY_SIZE:
            self.streak += 1
            self.bulk = self.streak > FULL_BUFFERS_BEFORE_SPLICE
        else:
            self.streak = 0
        return self._send(data)

    def _send(self, data: bytes | memoryview) -> bool:
        sent = self.sink.send_nowait(data)
        self.moved += sent
        if sent == len(data):
            self.held = b""
            return bool(self.source.ready & IN) or self.moved == self.limit
        self.held = memoryview(data)[sent:]
        return False

    def _fill(self, pipe: Pipe, pipes: PipePool) -> bool:
        size = pipe.size if self.limit is None else min(pipe.size, self.limit - self.moved)
        try:
            pipe.held = os.splice(self.source.fd, pipe.write_fd, size, flags=SPLICE_FLAGS)
        except BlockingIOError:
            self.source.ready &= ~IN
        except OSError:
            self.close(pipes)
            raise
        if not pipe.held:
            self.ended = bool(self.source.ready & IN)
            self.close(pipes)
            return self.ended
        self._reconsider(pipe.held)
        return True

    def _reconsider(self, count: int) -> None:
        """Go back to copying where the stream has become small."""
        if count >= SMALL_SPLICE:
            self.streak = 0
            return
        self.streak += 1
        if self.streak > SMALL_SPLICES_BEFORE_COPY:
            self.bulk, self.streak = False, 0

    def _empty(self, pipe: Pipe, pipes: PipePool) -> bool:
        try:
            count = os.splice(pipe.read_fd, self.sink.fd, pipe.held, flags=SPLICE_FLAGS)
        except BlockingIOError:
            self.sink.ready &= ~OUT
            return False
        pipe.held -= count
        self.moved += count
        if not pipe.held:
            self.close(pipes)
        return True

    def close(self, pipes: PipePool) -> None:
        """Return the pipe; bytes still in it are lost with it."""
        if self.pipe is not None:
            pipes.give_back(self.pipe)
            self.pipe = None
