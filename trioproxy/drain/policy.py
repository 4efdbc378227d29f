"""The policy of a drain: where on its time the rungs of a ladder stand."""

from __future__ import annotations

import attrs

from trioproxy.drain.ladder import Ladder
from trioproxy.drain.span import Span

QUARTER, HALF, WHOLE = (Span(part, share=True) for part in (0.25, 0.5, 1.0))


@attrs.frozen
class Policy:
    """When who is asked or told to leave; `notice` and `idle` are shares of the drain time.

    `notice` ends the spread of notices, `idle` that of idle closes, `stream` and `life` are shares
    of the time after which all is over. Connections are spread by a number `u` in [0, 1) drawn for
    each, so that clients do not all come back at once. Idle connections are closed only after all
    notices are out: a client that was told so does not race the close with its next request.

    `quiet`: bytes that flow are cut, from the notice on, where none has for so many seconds; None
    never. `hand_over`: what can move to the next generation does. `max_per_second`: so many pass a
    rung, or move, at the most, as long as there is time for that.
    """

    notice: Span = QUARTER
    idle: Span = HALF
    stream: Span = WHOLE
    life: Span = WHOLE
    quiet: float | None = None
    hand_over: bool = True
    max_per_second: float | None = None

    def shared(self, workers: int) -> Policy:
        """Return what each of so many workers, which know nothing of each other, goes by."""
        if self.max_per_second is None:
            return self
        return attrs.evolve(self, max_per_second=self.max_per_second / workers)

    def least_spread(self, count: int, life: float) -> float:
        """Return the seconds that `count` connections take to pass a rung, or to move.

        That is no more than a quarter of the `life` seconds after which all is over.
        """
        if self.max_per_second is None:
            return 0.0
        return min(count / self.max_per_second, min(self.life.of(life), life) / 4)

    def ladder(
        self,
        now: float,
        *,
        drain: float,
        life: float,
        u: float,
        immediate: bool = False,
        spread: float = 0.0,
    ) -> Ladder:
        """Return the ladder of one connection for a drain that begins `now`.

        `drain` seconds are for asking; after `life` seconds what is left is cut. Where spans of
        different kinds cross, the later rung gives the bound.

        `immediate`: nothing is spread, but for `spread` seconds at least: after the first two
        rungs have come, and before the other two.
        """
        asked = self.notice.of(drain) if drain else 0.0
        gone = max(self.idle.of(drain), asked) if drain else 0.0
        notices = max(0.0 if immediate else asked, spread)
        closes = max(0.0 if immediate else gone - asked, spread)
        early = spread * (1 - u)
        end = now + max(min(self.life.of(life), life) - early, 0.0)
        stream = min(now + max(self.stream.of(life) - early, 0.0), end)
        idle = min(now + max(asked, notices) + closes * u, stream)
        return Ladder(min(now + notices * u, idle), idle, stream, end)
