"""The task of an HTTP/2 connection: it reads for all streams, and writes what they all have said.

A stream's task never touches the socket. What it sends goes into the codec's buffer; the first one
to do so wakes the connection's task, which comes in the next turn of the loop, behind every stream
that ran in this one, and writes it all in one call. So eight streams that answer at the same time
cost one system call and one wake-up, and frames never interleave.

Where the kernel takes no more, the connection's task goes on reading: the peer may be waiting for
its own window before it reads. Streams wait as long as MOST_UNSENT has gathered. What else is said
has no such bound (answers without a body, acknowledgements), but is all brought about by what is
read: past MOST_OWED of it nothing more is, until the peer has taken what it was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio.lowlevel import reschedule

from trioproxy.reactor.epoll import IN, OUT, WOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.codec.h2.connection import Connection
    from trioproxy.codec.h2.events import Event
    from trioproxy.reactor.bell import Bell
    from trioproxy.reactor.transport import Transport
    from trioproxy.stats.handles import Counter
    from trioproxy.wire.head_timer import HeadTimer

READ_SIZE = 64 * 1024
MOST_UNSENT = 128 * 1024  # bytes of bodies
MOST_OWED = 512 * 1024  # bytes beside those, as `Sender.owed` counts
RELAX_EVERY = 1.0  # seconds: what the codec's limits of floods are counted over


class Multiplex:
    """Drives `codec` on `transport`; what comes is handed to `handle`, event by event.

    `received` and `sent` count bytes. `head_timer` is told of heads that come in pieces. `over` has
    the task end once all is written; `ended` tells that the peer has closed, `heard` grows with
    whatever comes.
    """

    __slots__ = (
        "_gathered",
        "_handle",
        "_received",
        "_relaxed",
        "_sent",
        "_unsent",
        "_waiting",
        "_woken",
        "codec",
        "ended",
        "head_timer",
        "heard",
        "over",
        "transport",
    )

    def __init__(
        self,
        transport: Transport,
        codec: Connection,
        handle: Callable[[Event], None],
        received: Counter,
        sent: Counter,
    ) -> None:
        self.transport = transport
        self.codec = codec
        self._handle = handle
        self._unsent = memoryview(b"")
        self._gathered = 0
        self._waiting: dict[Bell, None] = {}  # in the order in which they came
        self._woken = False
        self._relaxed = transport.reactor.now
        self._received = received
        self._sent = sent
        self.head_timer: HeadTimer | None = None
        self.over = False
        self.ended = False
        self.heard = 0

    def __repr__(self) -> str:
        return f"<Multiplex {self.codec.streams} streams, {len(self._unsent)} bytes unsent>"

    @property
    def clogged(self) -> bool:
        """Whether the peer does not take what it was sent."""
        return bool(self._unsent)

    async def run(self, said: bytes = b"") -> None:
        """Read, `said` first, and write; to the end of the connection or until `over`.

        Raises OSError, and what the transport is interrupted by.
        """
        transport = self.transport
        self._take(said)
        while not self.ended:
            self._write()
            if self.over and not self._unsent:
                return
            if self._unsent and self.codec.owed > MOST_OWED:
                await transport.park(OUT)
                continue
            await transport.park(IN | OUT if self._unsent else IN)
            if transport.patience <= 0:
                await transport.give_way()
            if transport.ready & IN:
                self._read()

    def wake(self) -> None:
        """Have what the codec was given written in the next turn."""
        if not self._woken:
            self._woken = True
            if self.transport.waiter is not None:
                reschedule(self.transport.unpark(), WOKEN)

    def gather(self, count: int) -> None:
        """Note `count` bytes of payload that were given to the codec."""
        self._gathered += count
        self.wake()

    @property
    def full(self) -> bool:
        """Whether so much has gathered that streams have to wait for room."""
        return self._gathered > MOST_UNSENT

    def ring_for_room(self, bell: Bell) -> None:
        """Ring once what has gathered was written; also when the connection is over."""
        self._waiting[bell] = None

    def flush_nowait(self) -> None:
        """Write what the kernel takes now: last words. An error means that nobody hears them."""
        try:
            self._write()
        except OSError:
            return

    def forget(self) -> None:
        """Let go of who has it: neither shall need a collector to be gone."""
        self._handle = _ignore

    def release(self) -> None:
        """Let go of those who wait for room: there will be none."""
        self._gathered = 0
        waiting, self._waiting = self._waiting, {}
        for bell in waiting:
            bell.ring()

    def _read(self) -> None:
        data = self.transport.receive_nowait(READ_SIZE)
        if data:
            self._received.add(len(data))
            self.heard += 1
            self._take(data)
        elif data is not None:
            self.ended = True

    def _take(self, data: bytes) -> None:
        now = self.transport.reactor.now
        if now - self._relaxed >= RELAX_EVERY:
            self._relaxed = now
            self.codec.relax()
        handle = self._handle
        events = self.codec.receive(data)
        for event in events:
            handle(event)
        if self.head_timer is not None:
            if events:  # what is in the middle of a head now is not the one that was before
                self.head_timer.note(False)
            self.head_timer.note(self.codec.in_head)

    def _write(self) -> None:
        self._woken = False
        transport = self.transport
        while True:
            data = self._unsent or self.codec.data_to_send()
            if not data:
                break
            sent = transport.send_nowait(data)
            self._sent.add(sent)
            if sent < len(data):
                self._unsent = memoryview(data)[sent:]
                return
            self._unsent = memoryview(b"")
        if self._gathered:
            self.release()


def _ignore(_event: Event) -> None:
    """Nobody is there to be told."""
