"""A flow: one direction of a pump, by copying and, where the stream is bulk, by `splice`.

A flow reads only when everything it holds has been written: that is the back-pressure, and it
keeps `splice` unambiguous: a pipe is filled only when it is empty, so EAGAIN can only mean that
the source has nothing. A pipe is borrowed only while there are bytes in it.

So a flow waits at one place at a time: at its source for EPOLLIN, or, with something in hand, at
its sink for EPOLLOUT. `at` and `flag` say which; where that flag is set a step can be taken, and
an OSError is always that of the transport it was `at`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trioproxy.reactor.epoll import IN, OUT
from trioproxy.reactor.pipes import PIPE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.reactor.pipes import Pipe, PipePool
    from trioproxy.reactor.transport import Transport

COPY_SIZE = 64 * 1024
FULL_BUFFERS_BEFORE_SPLICE = 2
SMALL_SPLICE = 16 * 1024
SMALL_SPLICES_BEFORE_COPY = 8
SPLICE_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


class Flow:
    """Bytes from `source` to `sink`, at most `limit` of them (None: until the end).

    `held` are bytes read from the source already, no more than `limit`; they count. Done once
    everything was sent: at the limit, or at the end of the source (then `ended` is set), which is
    passed on as a half-close if `half_close`. `moved` are the bytes sent so far. A `tap` is called
    with each piece that was sent; then nothing is spliced, nor where a side is not bare.
    """

    __slots__ = (
        "at",
        "bulk",
        "ended",
        "flag",
        "half_close",
        "held",
        "limit",
        "moved",
        "pipe",
        "sink",
        "source",
        "streak",
        "tap",
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
        self.bulk = False
        self.streak = 0
        self.tap: Callable[[bytes | memoryview], None] | None = None
        self.pipe: Pipe | None = None
        self.at, self.flag = (sink, OUT) if held else (source, IN)
        if limit == 0:
            self.stop()

    @property
    def done(self) -> bool:
        """Whether there is nothing more to move."""
        return not self.flag

    @property
    def _spliceable(self) -> bool:
        return self.tap is None and self.source.bare and self.sink.bare

    def stop(self) -> None:
        """Be done, whatever there might be to come."""
        self.flag = 0

    def step(self, pipes: PipePool) -> None:
        """Where `at` is ready: take what there is, if nothing is in hand, and hand it on.

        Raises the OSError of the transport it is `at`.
        """
        if self.ended:
            self._end()
        elif self.pipe is not None:
            self._empty(self.pipe, pipes)
        elif self.bulk and not self.held and (pipe := pipes.take()) is not None:
            self._fill(pipe, pipes)
        else:
            self._copy()

    def _copy(self) -> None:
        data = self.held
        if not data:
            size = COPY_SIZE if self.limit is None else min(COPY_SIZE, self.limit - self.moved)
            received = self.source.receive_nowait(size)
            if not received:
                if received is not None:
                    self._end()
                return
            data = received
            self.at = self.sink
            if len(data) == COPY_SIZE:
                self.streak += 1
                self.bulk = self._spliceable and self.streak > FULL_BUFFERS_BEFORE_SPLICE
            else:
                self.streak = 0
        sent = self.sink.send_nowait(data)
        self.moved += sent
        if self.tap is not None:
            self.tap(memoryview(data)[:sent])
        if sent < len(data):
            self.held, self.flag = memoryview(data)[sent:], OUT
        else:
            self.held = b""
            self._handed_on()

    def _handed_on(self) -> None:
        self.at, self.flag = self.source, IN
        if self.moved == self.limit:
            self.flag = 0

    def _end(self) -> None:
        self.ended = True
        if self.half_close and not self.sink.shutdown_write():
            self.at, self.flag = self.sink, OUT
        else:
            self.stop()

    def _fill(self, pipe: Pipe, pipes: PipePool) -> None:
        size = PIPE_SIZE if self.limit is None else min(PIPE_SIZE, self.limit - self.moved)
        try:
            pipe.held = os.splice(self.source.fd, pipe.write_fd, size, flags=SPLICE_FLAGS)
        except BlockingIOError:
            self.source.ready &= ~IN
            pipes.give_back(pipe)
            return
        except OSError:
            pipes.give_back(pipe)
            raise
        if not pipe.held:
            pipes.give_back(pipe)
            self._end()
            return
        self._reconsider(pipe.held)
        self.pipe = pipe
        self.at, self.flag = self.sink, OUT
        self._empty(pipe, pipes)

    def _reconsider(self, count: int) -> None:
        """Go back to copying where the stream has become small."""
        self.streak = self.streak + 1 if count < SMALL_SPLICE else 0
        if self.streak > SMALL_SPLICES_BEFORE_COPY:
            self.bulk, self.streak = False, 0

    def _empty(self, pipe: Pipe, pipes: PipePool) -> None:
        try:
            count = os.splice(pipe.read_fd, self.sink.fd, pipe.held, flags=SPLICE_FLAGS)
        except BlockingIOError:
            self.sink.ready &= ~OUT
            return
        pipe.held -= count
        self.moved += count
        if not pipe.held:
            self.pipe = None
            pipes.give_back(pipe)
            self._handed_on()

    def settle(self, pipes: PipePool) -> None:
        """Return the pipe; what was in it is in `held` then, so that nothing is lost."""
        if self.pipe is not None:
            self.held = self.pipe.drain()
            pipes.give_back(self.pipe)
            self.pipe = None
