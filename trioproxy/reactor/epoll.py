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
  edge with the last data, so after EPOLLRDHUP one reads on until the end is seen. Nor does it
  after urgent data (EPOLLPRI), at whose mark a read stops short whatever is behind it.
- EPOLL_CTL_DEL comes before an fd is closed or passed on. epoll watches the open file description,
  not the number: a duplicate in another process would keep the events coming, under a number that
  may be somebody else's by then.

- EPOLLEXCLUSIVE is not used: it counts on somebody waiting in `epoll_wait` on the very set, and
  Trio waits on ours through its own. A listen socket in several sets wakes each of them, so none
  that has stopped accepting can swallow the edge of one that has not.

A turn handles a bounded number of events, then lets Trio run; what a pump could not finish in its
share of a turn goes on in the next one, without an event.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Protocol, cast

import trio
from trio.lowlevel import checkpoint, reschedule, wait_readable

if TYPE_CHECKING:
    from outcome import Outcome

    from trioproxy.reactor.transport import Transport

IN = select.EPOLLIN
OUT = select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR
HANGUP = select.EPOLLRDHUP | GONE
ALARM = HANGUP | select.EPOLLPRI
SUBSCRIPTION = IN | OUT | select.EPOLLRDHUP | select.EPOLLPRI | select.EPOLLET
EVENTS_PER_TURN = 128
PUMP_TURNS = 4


class Pumping(Protocol):
    """Work that the reactor does itself, in turns."""

    def turn(self) -> bool:
        """Do a bounded amount of work; returns whether there is more to do without an event."""
        ...


class Woken:
    """The outcome of a wait that has nothing to say; one object will do for all of them.

    What Trio makes otherwise, an `outcome.Value` for each, makes waking a task a quarter dearer.
    """

    __slots__ = ()

    def unwrap(self) -> None:
        """Return nothing, any number of times."""


WOKEN = cast("Outcome[object]", Woken())


class Reactor:
    """The epoll set and the transports registered in it.

    `now` is Trio's time, in seconds, as of this turn: reading a clock costs more than it tells.
    """

    __slots__ = ("_epoll", "_unfinished", "now", "transports")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._unfinished: set[Pumping] = set()
        self.now = trio.current_time()
        self.transports: dict[int, Transport] = {}

    def __repr__(self) -> str:
        return f"<Reactor {len(self.transports)} transports>"

    def register(self, transport: Transport) -> None:
        """Watch a transport until `unregister`; its fd must be non-blocking.

        One that has handed its socket on to this one is watched no longer.
        """
        known = self.transports.get(transport.fd)
        if known is None or known.fd >= 0:
            self._epoll.register(transport.fd, SUBSCRIPTION)
        self.transports[transport.fd] = transport

    def unregister(self, transport: Transport) -> None:
        """Stop watching; must come before the fd is closed or passed on."""
        if self.transports.pop(transport.fd, None) is not None:
            self._epoll.unregister(transport.fd)

    def forget(self, pump: Pumping) -> None:
        """Give a pump no turn any more; its transports are attached to it no longer."""
        self._unfinished.discard(pump)

    async def run(self) -> None:
        """Wait and dispatch until cancelled."""
        epoll_fd = self._epoll.fileno()
        while True:
            if self._unfinished:
                await checkpoint()
            else:
                await wait_readable(epoll_fd)
            self.now = trio.current_time()
            self._turn()

    def _turn(self) -> None:
        # To pass through Trio costs as much as to serve an event: look for more of them first.
        left = EVENTS_PER_TURN
        while left > 0 and (events := self._epoll.poll(0, left)):
            left -= len(events)
            self._dispatch(events)
        for _ in range(PUMP_TURNS):
            if not self._unfinished:
                break
            self._unfinished = {pump for pump in self._unfinished if pump.turn()}

    def _dispatch(self, events: list[tuple[int, int]]) -> None:
        find = self.transports.get
        for fd, event in events:
            transport = find(fd)
            if transport is None:
                continue
            if event & ALARM:
                event = transport.alarm(event)
            transport.ready |= event
            if transport.pump is not None and transport.pump.turn():
                self._unfinished.add(transport.pump)
            if transport.waiter is not None and event & transport.interest:
                reschedule(transport.unpark(), WOKEN)
            if transport.writer is not None and event & OUT:
                reschedule(transport.unpark_writer(), WOKEN)

    def close(self) -> None:
        """Close the epoll set; the transports' sockets stay open."""
        self._epoll.close()
        self.transports.clear()
