"""A connection's lifetime: one cancel scope, and the moment it must not outlive.

Draining is a bound on timeouts that exist anyway. A connection says where it stands (idle between
requests, or in the middle of something) and how long it may stay there; its ladder, if it is
draining, says until when at most. The earlier of the two is `when`; the sweep cancels the scope at
that time. To drain is to tighten the ladder: no task, no flag, and nothing to poll.

Only this package moves deadlines.
"""

from __future__ import annotations

from enum import Enum
from functools import reduce
from math import inf
from typing import TYPE_CHECKING, Self

import trio

from trioproxy.drain.ladder import STAY, Ladder
from trioproxy.drain.sweep import ROUGH

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from trioproxy.drain.sweep import Sweep


class Cause(Enum):
    """Why connections are asked to leave; each cause has its own ladder, and may be withdrawn."""

    RESTART = "hot restart"
    SHUTDOWN = "shutdown"
    ADMIN = "admin"


class Rung(Enum):
    """A moment of the ladder that one can wait for."""

    NOTICE = "notice"
    LIFE = "life"


class Stand(Enum):
    """Where a connection stands: which rung of its ladder bounds it."""

    IDLE = "idle"
    STREAM = "stream"
    STREAMS = "streams"  # as LIFE: each of them has a lifetime of its own, within this one
    FLOW = "flow"  # as LIFE, and `quiet` counts
    LIFE = "life"


NOT_ASKED: dict[Cause, Ladder] = {}


class Alarm:
    """Calls once when a rung of the ladder has come, or `ahead` seconds before; see `Timed`."""

    __slots__ = ("ahead", "call", "rung", "spent", "when")

    def __init__(self, call: Callable[[], None], rung: Rung, ahead: float) -> None:
        self.call = call
        self.rung = rung
        self.ahead = ahead
        self.spent = False
        self.when = inf

    def expire(self) -> None:
        """The time has come: called by the sweep."""
        self.spent = True
        self.when = inf
        self.call()


class Lifetime:
    """The cancel scope of one connection; use it as a context manager around all it does.

    One that is `within` another, a stream's, has the same ladder, and a stand of its own.

    `quiet`: bytes that only flow end, once it is noticed, where none has for so many seconds.

    `expired` tells afterwards that it was ended by its time, and `stands` where it stood then;
    `abandoned` that it was ended because its peer had left.

    While it is `moving`, whoever has the connection offers it to the next generation, from when it
    is `called` on, as soon as it stands where it can go; `mover` has one that waits there do so at
    once.

    `spoken_to` tells of one that stands idle whether its peer has said something that nobody has
    read yet: then it is not closed for having been idle.
    """

    __slots__ = (
        "_alarms",
        "_begun",
        "_causes",
        "_end",
        "_enters",
        "_inner",
        "_scope",
        "_sweep",
        "_told",
        "_within",
        "abandoned",
        "called",
        "expired",
        "ladder",
        "mover",
        "moving",
        "quiet",
        "spoken_to",
        "stands",
        "timeout",
        "when",
    )

    def __init__(self, sweep: Sweep, age: float = 0.0, within: Lifetime | None = None) -> None:
        self._sweep = sweep
        self._within = within
        self._inner: set[Lifetime] | None = None
        self._begun = sweep.clock.now - age
        self._scope: trio.CancelScope | None = None
        self._enters = False
        self.ladder: Ladder = STAY
        self._causes: dict[Cause, Ladder] = NOT_ASKED
        self.stands = Stand.LIFE
        self.timeout = inf
        self._end = inf
        self.quiet = inf
        self._alarms: list[Alarm] | None = None
        self._told: trio.Event | None = None
        self.when = inf
        self.expired = False
        self.moving = self.called = False
        self.mover: Callable[[], object] | None = None
        self.spoken_to: Callable[[], bool] | None = None
        self.abandoned = False

    def __repr__(self) -> str:
        return f"<Lifetime {self.stands.value} for {trio.current_time() - self._begun:.1f} s>"

    def __enter__(self) -> Self:
        self._sweep.timed.add(self)
        if self._within is not None:
            self._join(self._within)
        if self._scope is None:
            self._enters = True
            self._scope = trio.CancelScope()
            self._scope.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._sweep.timed.discard(self)
        if self._within is not None and self._within._inner is not None:
            self._within._inner.discard(self)
        for alarm in self._alarms or ():
            self._sweep.timed.discard(alarm)
        self._alarms = self.mover = self.spoken_to = None  # they know who has the lifetime
        assert self._scope is not None
        return self._scope.__exit__(kind, error, traceback) if self._enters else None

    def _join(self, outer: Lifetime) -> None:
        if outer._inner is None:
            outer._inner = set()
        outer._inner.add(self)
        self.ladder, self._causes, self.quiet = outer.ladder, outer._causes, outer.quiet
        if self.ladder is not STAY:
            self.when = min(self.when, self._rung())

    def run_in(self, scope: trio.CancelScope) -> None:
        """Use a scope that the caller has entered, and leaves once it was cancelled."""
        self._scope = scope

    @property
    def age(self) -> float:
        """Seconds since it began, in whichever generation."""
        return trio.current_time() - self._begun

    @property
    def due(self) -> float:
        """Until when it may stay, if nothing moves: with streams, as long as the last of them."""
        if self.stands is not Stand.STREAMS or not self._inner:
            return self.when
        return min(self.when, max(each.when for each in self._inner))

    @property
    def noticed(self) -> bool:
        """Whether the peer is to be told that the connection will be closed."""
        return self.ladder is not STAY and trio.current_time() >= self.ladder.notice

    async def wait_noticed(self) -> None:
        """Return when the peer is to be told that the connection will be closed."""
        if self._told is None:
            self._told = trio.Event()
            self.alarm(self._told.set, Rung.NOTICE)
        await self._told.wait()

    def alarm(self, call: Callable[[], None], rung: Rung, ahead: float = 0.0) -> None:
        """Have `call` called once, `ahead` seconds before a rung of the ladder comes."""
        if self._alarms is None:
            self._alarms = []
        self._alarms.append(Alarm(call, rung, ahead))
        self._sweep.timed.add(self._alarms[-1])
        self._set_alarms()

    @property
    def worn_out(self) -> bool:
        """Whether its maximum duration is over."""
        return trio.current_time() >= self._end

    @property
    def drained(self) -> bool:
        """Whether its ladder says that it may not stay where it stands, or silent for so long."""
        if self.stands is Stand.FLOW and self.quiet < self.timeout and self.noticed:
            return True
        return self.ladder is not STAY and trio.current_time() >= self._rung()

    def limit(self, duration: float) -> None:
        """Live no longer than `duration` seconds after the beginning, wherever it stands."""
        self._end = self._begun + duration
        self.when = min(self.when, self._end)
        self._sweep.hurry(self.when)

    def stand(self, stands: Stand, timeout: float) -> None:
        """Stay here for at most `timeout` seconds from now, and no longer than the ladder says."""
        self.stands = stands
        self.timeout = timeout
        when = self._sweep.later(timeout)
        if when > self._end:
            when = self._end
        if self.ladder is not STAY:
            when = min(when, self._rung())
        self.when = when
        self._sweep.hurry(when)

    def touch(self) -> None:
        """Something moved: the timeout of where it stands begins anew."""
        if self.timeout > ROUGH and self.ladder is STAY:
            # What `stand` comes to in the usual case, at a fifth of the cost: nothing is near.
            when = self._sweep.clock.now + self.timeout
            if when > self._end:
                when = self._end
            self.when = when
        else:
            self.stand(self.stands, self.timeout)

    def tighten(self, ladder: Ladder, cause: Cause = Cause.RESTART) -> None:
        """Drain for a cause; as long as it stands, the moments only ever move closer."""
        self._causes = self._causes | {cause: self._causes.get(cause, STAY).tightened(ladder)}
        self.ladder = self.ladder.tightened(ladder)
        self.when = min(self.when, self._rung())
        self._sweep.hurry(self.when)
        self._set_alarms()
        for inner in self._inner or ():
            inner.tighten(ladder, cause)

    def relax(self, cause: Cause = Cause.RESTART) -> None:
        """Withdraw a cause, with its ladder; who was told to leave for it goes on leaving."""
        ladder = self._causes.get(cause)
        if ladder is None or trio.current_time() >= ladder.notice:
            return
        self._causes = {each: self._causes[each] for each in self._causes if each is not cause}
        self.ladder = reduce(Ladder.tightened, self._causes.values(), STAY)
        self.touch()
        self._set_alarms()
        for inner in self._inner or ():
            inner.relax(cause)

    def abandon(self) -> None:
        """End the connection: its peer has left."""
        self.abandoned = True
        self._cancel()

    def expire(self) -> None:
        """End the connection: called by the sweep when its time has come."""
        if not self._spared():
            self.expired = True
            self._cancel()

    def _spared(self) -> bool:
        """Whether it only had to leave while idle, and is not idle any more."""
        if self.stands is not Stand.IDLE or self.spoken_to is None or self.worn_out:
            return False
        return trio.current_time() < self.ladder.life and self.spoken_to()

    def _cancel(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    def _rung(self) -> float:
        if self.stands is Stand.IDLE:
            return self.ladder.idle
        if self.stands is Stand.STREAM:
            return self.ladder.stream
        if self.stands is not Stand.FLOW or self.quiet == inf:
            return self.ladder.life
        silent = max(self.ladder.notice, trio.current_time() + self.quiet)
        return min(silent, self.ladder.life)

    def _set_alarms(self) -> None:
        for alarm in self._alarms or ():
            if not alarm.spent:
                rung = self.ladder.notice if alarm.rung is Rung.NOTICE else self.ladder.life
                alarm.when = rung - alarm.ahead
                self._sweep.hurry(alarm.when)
