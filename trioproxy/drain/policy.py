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
    never. `hand_over`: what can move to the next generation does.
    """

    notice: Span = QUARTER
    idle: Span = HALF
    stream: Span = WHOLE
    life: Span = WHOLE
    quiet: float | None = None
    hand_over: bool = True

    def ladder(self, now: float, *, drain: float, life: float, u: float) -> Ladder:
        """Return the ladder of one connection for a drain that begins `now`.

        `drain` seconds are for asking; after `life` seconds what is left is cut. Where spans of
        different kinds cross, the later rung gives the bound.
        """
        asked = self.notice.of(drain) if drain else 0.0
        gone = max(self.idle.of(drain), asked) if drain else 0.0
        end = now + min(self.life.of(life), life)
        stream = min(now + self.stream.of(life), end)
        idle = min(now + asked + (gone - asked) * u, stream)
        return Ladder(min(now + asked * u, idle), idle, stream, end)
