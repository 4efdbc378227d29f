"""Who is asked to leave, and why: each connection is told, or moves to the next generation."""

from __future__ import annotations

import logging
from math import sqrt
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.drain.lifetime import Cause
from trioproxy.drain.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trioproxy.drain.lifetime import Lifetime
    from trioproxy.filters.handover import Successor
    from trioproxy.filters.tools import Tools
    from trioproxy.listener.listener import Listener

log = logging.getLogger("trioproxy.listener")

MOVE_AGAIN = 0.1  # seconds, for who was just between two waits
PORTION = 250  # connections that are told in one turn of the loop
FIRST_WORDS = 5.0  # seconds in which nobody who comes is closed for having nothing to say
GOLDEN = (sqrt(5) - 1) / 2


@attrs.frozen
class Draining:
    """What connections are told for one cause; `since` is on Trio's clock, the rest in seconds."""

    since: float
    time: float
    life: float
    immediate: bool


class Drains:
    """The causes to leave that stand, and what the connections of `listeners` are told of them."""

    def __init__(
        self, tools: Tools, listeners: Mapping[str, Listener], connections: trio.Nursery
    ) -> None:
        self._tools = tools
        self._listeners = listeners
        self._connections = connections
        self._standing: dict[Cause, Draining] = {}
        tools.handover.stay = self.stay

    def __repr__(self) -> str:
        return f"<Drains {[cause.value for cause in self._standing]}>"

    def begin(self, cause: Cause, time: float, life: float, *, immediate: bool) -> None:
        """Ask connections to leave within `time` seconds and end them after `life` seconds.

        Those that are still to come, too, as long as the cause stands.
        """
        drain = self._standing[cause] = Draining(trio.current_time(), time, life, immediate)
        portions = self._tell_all(cause, drain)
        if next(portions, False):
            self._connections.start_soon(self._go_on, portions)
        for listener in self._listeners.values():
            if self._moving(listener, cause):
                count = max(len(listener.living), 1)
                pace = Pace(listener.policy.least_spread(count, life) / count)
                self._connections.start_soon(self._move, listener, drain, pace)

    def _moving(self, listener: Listener, cause: Cause) -> bool:
        """Whether who is asked to leave moves instead, if that is possible."""
        return cause is Cause.RESTART and self._tools.handover.open and listener.moves

    def _tell_all(self, cause: Cause, drain: Draining) -> Iterator[bool]:
        """Tell everybody who is here now; yields after each portion: ten thousand take a while."""
        everybody = [(listener, list(listener.living)) for listener in self._listeners.values()]
        start, told = self._tools.rng.random(), 0
        for listener, living in everybody:
            for number, lifetime in enumerate(living):
                if lifetime in listener.living:
                    if self._moving(listener, cause) and listener.may_move(lifetime):
                        lifetime.moving = True
                    self._tell(listener, lifetime, cause, place(number, start))
                told += 1
                if not told % PORTION:
                    yield True
                    if self._standing.get(cause) is not drain:
                        return

    async def _go_on(self, portions: Iterator[bool]) -> None:
        """Do a portion each turn."""
        for _ in portions:
            await trio.lowlevel.checkpoint()

    def _tell(
        self, listener: Listener, lifetime: Lifetime, cause: Cause, u: float, patience: float = 0.0
    ) -> None:
        """Give a connection its ladder; it is not closed for being idle in `patience` seconds."""
        drain = self._standing[cause]
        policy = listener.policy_of(lifetime)
        spread = policy.least_spread(len(listener.living), drain.life)
        ladder = policy.ladder(
            drain.since,
            drain=drain.time,
            life=drain.life,
            u=u,
            immediate=drain.immediate,
            spread=spread,
        )
        if cause is Cause.RESTART and lifetime.moving:
            ladder = ladder.unasked()
        # Who is told late is not all told at the same moment for that.
        soonest = trio.current_time() + patience + spread * u
        lifetime.tighten(ladder.patient(soonest), cause)

    def withdraw(self, cause: Cause) -> None:
        """Ask for it no more; who was already told goes on leaving."""
        if self._standing.pop(cause, None) is None:
            return
        if cause is Cause.RESTART:
            self._tools.handover.end()
        for lifetime in self._lifetimes():
            if cause is Cause.RESTART:
                lifetime.moving = lifetime.called = False
            lifetime.relax(cause)

    async def hear(self, successor: Successor) -> None:
        """Hear what becomes of the offers; then whoever did not move has to leave after all."""
        await successor.hear()
        if not self._tools.handover.open:  # else there is another one to move to
            for lifetime in self._lifetimes():
                self.stay(lifetime)
        moved, stayed = successor.accepted, successor.declined
        if moved or stayed:
            log.info("handed over %d connections, %d stayed", moved, stayed)

    async def _move(self, listener: Listener, drain: Draining, pace: Pace) -> None:
        """Call one after the other to move, and those that wait for something as soon as they do.

        No faster than its policy says, and a window at a time.
        """
        handover = self._tools.handover
        while handover.open and self._standing.get(Cause.RESTART) is drain:
            for lifetime in list(listener.living):
                if lifetime.moving and not lifetime.called:
                    await pace.turn()
                    lifetime.called = lifetime.moving
                await handover.room()
                if lifetime.called and lifetime.mover is not None:
                    lifetime.mover()
                    await trio.lowlevel.checkpoint()  # it offers in its own turn: count it, then
            await trio.sleep(MOVE_AGAIN)

    def stay(self, lifetime: Lifetime) -> None:
        """A connection does not move: it is asked to leave, as long as there is cause."""
        if lifetime.moving and Cause.RESTART in self._standing:
            lifetime.moving = lifetime.called = False
            listener = next(each for each in self._listeners.values() if lifetime in each.living)
            self._tell(listener, lifetime, Cause.RESTART, self._tools.rng.random())

    def arrived(self, listener: Listener, lifetime: Lifetime) -> None:
        """Take note of a new connection: what holds for the others holds for it."""
        for cause in self._standing:
            self._tell(listener, lifetime, cause, self._tools.rng.random(), FIRST_WORDS)

    def _lifetimes(self) -> list[Lifetime]:
        return [life for each in self._listeners.values() for life in each.living]


def place(number: int, start: float) -> float:
    """Return where in [0, 1) a connection stands, by its number in the order of their arrival.

    However many there are, they stand evenly, and so do those that came together.
    """
    return (start + number * GOLDEN) % 1.0
