"""The policy of a drain: where on its time the rungs of a ladder stand."""

from __future__ import annotations

import attrs

from trioproxy.drain.ladder import Ladder


@attrs.frozen
class Policy:
    """Shares of the drain time: `notice` ends the spread of notices, `idle` that of idle closes.

    Connections are spread by a number `u` in [0, 1) drawn for each, so that clients do not all
    come back at once. Idle connections are closed only after all notices are out: a client that
    was told so does not race the close with its next request.
    """

    notice: float = 0.25
    idle: float = 0.5

    def ladder(self, now: float, *, drain: float, life: float, u: float) -> Ladder:
        """Return the ladder of one connection for a drain that begins `now`.

        `drain` seconds are for asking; after `life` seconds what is left is cut.
        """
        end = now + life
        notice = now + drain * self.notice * u
        idle = now + drain * (self.notice + (self.idle - self.notice) * u) if drain else now
        return Ladder(min(notice, end), min(idle, end), end, end)
