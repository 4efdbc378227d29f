"""The reactor: one private, edge-triggered epoll set per worker, waited on by one Trio task.

Trio's price is per wake-up of a task and per `epoll_ctl` of each wait, so a proxy that waits
through Trio pays twice for every message it forwards. Here each socket is registered once, for
life, and a single task waits on the epoll descriptor itself, which is readable whenever one of its
members has an event. Everything else stays Trio's: a connection is an ordinary task, parked with
`wait_task_rescheduled`, cancelled by its scope, and its traceback is whole.

Edge-triggered means that the kernel tells once. The contract that follows from it:

- Flags are sticky. An event sets them on the `Transport`; only an EAGAIN, or a read that came back
  short, clears them. A task parks only on a cleared flag, so an edge that came early is not lost.
- Whoever stops before EAGAIN (a bound on work per turn, no capacity, suspended) has used up the
  edge: the flag stays set, and it tries again first when it resumes.
- A short read clears the flag *unless* the peer has hung up: the end of the stream may share its
  edge with the last data, so after EPOLLRDHUP one reads on until the end is seen.
- EPOLL_CTL_DEL comes before an fd is closed or passed on. epoll watches the open file description,
  not the number: a duplicate in another process would keep the events coming, under a number that
  may be somebody else's by then.

A turn handles a bounded number of events, then lets Trio run; what a pump could not finish in its
share of a turn goes on in the next one, without an event.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Protocol

import trio
from trio.lowlevel import checkpoint, reschedule, wait_readable

if TYPE_CHECKING:
    from trioproxy.reactor.transport import Transport

IN = select.EPOLLIN
OUT = select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR
HANGUP = select.EPOLLRDHUP | GONE
SUBSCRIPTION = IN | OUT | select.EPOLLRDHUP | select.EPOLLET
EVENTS_PER_TURN = 128


class Pumping(Protocol):
    """Work that the reactor does itself, in turns."""

    def turn(self) -> bool:
        """Do a bounded amount of work; returns whether there is more to do without an event."""
        ...


class Reactor:
    """The epoll set and the transports registered in it.

    `now` is Trio's time, in seconds, as of this turn: reading a clock costs more than it tells.
    """

    __slots__ = ("_epoll", "_unfinished", "now", "transports")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._unfinished: list[Pumping] = []
        self.now = trio.current_time()
        self.transports: dict[int, Transport] = {}

    def __repr__(self) -> str:
        return f"<Reactor {len(self.transports)} transports>"

    def register(self, transport: Transport, *, exclusive: bool = False) -> None:
        """Watch a transport until `unregister`; its fd must be non-blocking.

        `exclusive` is for a listen socket that several processes wait on: one of them is woken.
        """
        if exclusive:
            self._epoll.register(transport.fd, IN | select.EPOLLET | select.EPOLLEXCLUSIVE)
        else:
            self._epoll.register(transport.fd, SUBSCRIPTION)
        self.transports[transport.fd] = transport

    def unregister(self, transport: Transport) -> None:
        """Stop watching; must come before the fd is closed or passed on."""
        if self.transports.pop(transport.fd, None) is not None:
            self._epoll.unregister(transport.fd)

    def resume(self, pump: Pumping) -> None:
        """Give a pump a turn soon, without an event."""
        self._unfinished.append(pump)

    async def run(self) -> None:
        """Wait and dispatch until cancelled."""
        poll, epoll_fd = self._epoll.poll, self._epoll.fileno()
        while True:
            if not self._unfinished:
                await wait_readable(epoll_fd)
            self.now = trio.current_time()
            self._dispatch(poll(0, EVENTS_PER_TURN))
            if self._unfinished:
                self._continue()
                await checkpoint()

    def _dispatch(self, events: list[tuple[int, int]]) -> None:
        find = self.transports.get
        for fd, event in events:
            transport = find(fd)
            if transport is None:
                continue
            if event & HANGUP:
                event = transport.hang_up(event)
            transport.ready |= event
            if transport.pump is not None:
                if transport.pump.turn():
                    self._unfinished.append(transport.pump)
            elif transport.waiter is not None and event & transport.interest:
                reschedule(transport.unpark())

    def _continue(self) -> None:
        unfinished, self._unfinished = self._unfinished, []
        self._unfinished += [pump for pump in unfinished if pump.turn()]

    def close(self) -> None:
        """Close the epoll set; the transports' sockets stay open."""
        self._epoll.close()
        self.transports.clear()
