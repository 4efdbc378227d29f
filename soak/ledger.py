"""Keeps what clients saw: outcomes by kind of client, latencies by phase, troubles with their time."""

from __future__ import annotations

import enum
from array import array
from collections import Counter
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_TROUBLES = 500


class Kind(enum.StrEnum):
    """Who asks."""

    NEW = "new connections"
    BUSY = "busy"
    SLEEPY = "sleepy"
    DOWNLOAD = "downloads"
    UPLOAD = "uploads"
    TCP = "TCP sessions"
    WEBSOCKET = "WebSockets"


class Outcome(enum.StrEnum):
    """What became of a request, a connection or a session."""

    ANSWERED = "answered"
    CONNECT_FAILED = "failed connects"
    FAILED = "failed responses"
    CLOSED_IDLE = "closed without notice, idle"
    RACED = "closed without notice, request in flight"
    TOLD = "told and closed"
    CUT = "sessions cut"


LOST = (
    Outcome.CONNECT_FAILED,
    Outcome.FAILED,
    Outcome.CLOSED_IDLE,
    Outcome.RACED,
    Outcome.CUT,
)


class Phase(enum.StrEnum):
    """Where a restart stands: nowhere, from command to serving, until the old one is gone."""

    CALM = "calm"
    STARTING = "starting"
    DRAINING = "draining"


@attrs.frozen
class Trouble:
    """Something lost: when (seconds into the run), in which phase, to whom, what was seen."""

    at: float
    phase: Phase
    kind: Kind
    outcome: Outcome
    detail: str


@attrs.frozen
class Restart:
    """One restart, in seconds into the run, and who of the sessions then open survived it."""

    epoch: int
    commanded: float
    serving: float
    gone: float
    sessions: dict[Kind, tuple[int, int]]


class Ledger:
    """All figures of one run; its clock counts seconds from the start of the run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin a run now."""
        self._clock = clock
        self._began = clock()
        self.phase = Phase.CALM
        self.counts: Counter[tuple[Kind, Outcome]] = Counter()
        self.troubles: list[Trouble] = []
        self.restarts: list[Restart] = []
        self.failures: list[str] = []
        self.lags: dict[Phase, array[float]] = {phase: array("d") for phase in Phase}
        self.latencies: dict[tuple[Kind, Phase], Samples] = {
            (kind, phase): Samples() for kind in Kind for phase in Phase
        }

    def now(self) -> float:
        """Seconds into the run."""
        return self._clock() - self._began

    def answered(self, kind: Kind, began: float) -> None:
        """Note a right answer to what was asked at `began`."""
        now = self.now()
        self.counts[kind, Outcome.ANSWERED] += 1
        self.latencies[kind, self.phase].add(now, now - began)

    def note(self, kind: Kind, outcome: Outcome, detail: object = "") -> None:
        """Note another outcome, in detail where something was lost."""
        self.counts[kind, outcome] += 1
        if outcome in LOST and len(self.troubles) < KEPT_TROUBLES:
            self.troubles.append(Trouble(self.now(), self.phase, kind, outcome, str(detail)))

    def lagged(self, seconds: float) -> None:
        """Note how late the load generator itself was."""
        self.lags[self.phase].append(seconds)

    @property
    def lost(self) -> int:
        """How much was lost; failed restarts count."""
        return len(self.failures) + sum(
            count for (_, outcome), count in self.counts.items() if outcome in LOST
        )


class Samples:
    """Latencies with the time of each, in columns: a run has hundreds of thousands."""

    def __init__(self) -> None:
        self.at = array("d")
        self.seconds = array("d")

    def add(self, at: float, seconds: float) -> None:
        """Keep one."""
        self.at.append(at)
        self.seconds.append(seconds)
