"""A span: a time in seconds, or a share of another time."""

from __future__ import annotations

import attrs


@attrs.frozen
class Span:
    """`amount` seconds, or where it is a `share`, that part of a whole (1.0: all of it)."""

    amount: float
    share: bool = False

    def of(self, whole: float) -> float:
        """Return the seconds that it is of `whole` seconds, which may be infinite."""
        if not self.share:
            return self.amount
        return whole * self.amount if self.amount else 0.0

    def exceeds(self, other: Span) -> bool:
        """Whether it is longer than `other`, whatever the whole is; False if that depends."""
        return self.share == other.share and self.amount > other.amount
