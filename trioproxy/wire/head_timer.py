"""How long a header block may take to come: as long as it is incomplete, nothing else can come."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.drain.sweep import Sweep


class HeadTimer:
    """The sweep watches `when`; `overdue` is called once a block took longer than `timeout`."""

    __slots__ = ("_begun", "_overdue", "_sweep", "_timeout", "when")

    def __init__(self, sweep: Sweep, timeout: float, overdue: Callable[[], None]) -> None:
        self._sweep = sweep
        self._timeout = timeout
        self._overdue: Callable[[], None] | None = overdue
        self._begun = False
        self.when = inf

    def __repr__(self) -> str:
        return f"<HeadTimer {self._timeout} s{', begun' if self._begun else ''}>"

    def begin(self) -> None:
        """Have it watched, until `end`."""
        self._sweep.timed.add(self)

    def end(self) -> None:
        """Watch no more, and let go of who has it."""
        self._sweep.timed.discard(self)
        self._overdue = None

    def note(self, begun: bool) -> None:
        """Take note whether a part of a block is here."""
        if begun != self._begun:
            self._begun = begun
            self.when = self._sweep.later(self._timeout) if begun else inf
            self._sweep.hurry(self.when)

    def expire(self) -> None:
        """It took too long: called by the sweep."""
        self.when = inf
        if self._overdue is not None:
            self._overdue()
