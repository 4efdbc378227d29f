"""The ladder: the four moments at which a connection is asked, then told, to leave."""

from __future__ import annotations

from math import inf

import attrs


@attrs.frozen
class Ladder:
    """Absolute times on Trio's clock, in seconds, `notice <= idle <= stream <= life`."""

    notice: float = inf  # say so: Connection: close, GOAWAY
    idle: float = inf  # close it if nothing is in flight
    stream: float = inf  # end what is in flight
    life: float = inf  # close it, whatever it does

    def tightened(self, other: Ladder) -> Ladder:
        """Return the ladder that asks for whatever either asks for first."""
        return Ladder(
            min(self.notice, other.notice),
            min(self.idle, other.idle),
            min(self.stream, other.stream),
            min(self.life, other.life),
        )

    def patient(self, until: float) -> Ladder:
        """Return the ladder of one that is not closed for being idle before that, if it can be."""
        if self.idle >= until:
            return self
        return attrs.evolve(self, idle=min(until, self.stream))

    def unasked(self) -> Ladder:
        """Return the ladder of a connection that is not asked to leave, but ends with the rest."""
        return Ladder(stream=self.stream, life=self.life)


STAY = Ladder()
