"""Keeps what clients saw: outcomes by kind of client, latencies by phase, losses in detail."""

from __future__ import annotations

import enum
from array import array
from collections import Counter
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEPT_LOSSES = 500


class Kind(enum.StrEnum):
    """Who asks."""

    NEW = "new connections"
    BUSY = "busy keep-alive"
    SLEEPY = "sleepy keep-alive"
    IDLE = "idle keep-alive"
    HTTP2 = "HTTP/2 streams"
    DOWNLOAD = "downloads"
    UPLOAD = "uploads"
    TCP = "TCP sessions"
    HALF_CLOSED = "half-closed sessions"
    WEBSOCKET = "WebSockets"


ASKING = (Kind.NEW, Kind.BUSY, Kind.SLEEPY, Kind.IDLE, Kind.HTTP2)
SESSIONS = (Kind.TCP, Kind.HALF_CLOSED, Kind.WEBSOCKET)


class Outcome(enum.StrEnum):
    """What became of a request, a connection or a session."""

    ANSWERED = "answered"
    FAILED = "failed"  # no connection, no answer or a wrong one
    CLOSED = "closed without notice"
    TOLD = "told to leave"  # connection: close, a close frame


LOST = (Outcome.FAILED, Outcome.CLOSED)


class Phase(enum.StrEnum):
    """Where a restart stands: nowhere, from command to serving, until the old one is gone."""

    CALM = "calm"
    STARTING = "starting"
    DRAINING = "draining"


@attrs.frozen
class Loss:
    """Something lost: when (seconds into the run), in which phase, to whom, what was seen."""

    at: float
    phase: Phase
    kind: Kind
    outcome: Outcome
    detail: str


@attrs.frozen
class Restart:
    """One restart; moments are in seconds into the run."""

    workers: tuple[int, int]  # before and after
    commanded: float
    serving: float  # a new connection was answered by the new generation
    gone: float  # all processes of the old one had ended
    ready: float | None  # seconds from the start of the process to its READY=1, where that is known
    survived: dict[Kind, tuple[int, int]]  # of the sessions that stood before: alive, all
    lost: int


class Samples:
    """Latencies with the time of each, in columns: a run has hundreds of thousands."""

    def __init__(self) -> None:
        self.at = array("d")
        self.seconds = array("d")

    def add(self, at: float, seconds: float) -> None:
        """Keep one."""
        self.at.append(at)
        self.seconds.append(seconds)

    def pairs(self) -> Iterator[tuple[float, float]]:
        """Yield time and latency of each."""
        return zip(self.at, self.seconds, strict=True)


class Ledger:
    """All figures of one run; its clock counts seconds from the start of the run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin a run now."""
        self._clock = clock
        self._began = clock()
        self.phase = Phase.CALM
        self.counts: Counter[tuple[Kind, Outcome]] = Counter()
        self.losses: list[Loss] = []
        self.restarts: list[Restart] = []
        self.failures: list[str] = []
        self.lags = {phase: array("d") for phase in Phase}
        self.latencies = {(kind, phase): Samples() for kind in Kind for phase in Phase}

    def now(self) -> float:
        """Return the seconds into the run."""
        return self._clock() - self._began

    def answered(self, kind: Kind, began: float) -> None:
        """Note a right answer to what was asked at `began`."""
        now = self.now()
        self.counts[kind, Outcome.ANSWERED] += 1
        self.latencies[kind, self.phase].add(now, now - began)

    def note(self, kind: Kind, outcome: Outcome, detail: str = "") -> None:
        """Note another outcome, in detail where something was lost."""
        self.counts[kind, outcome] += 1
        if outcome in LOST and len(self.losses) < KEPT_LOSSES:
            self.losses.append(Loss(self.now(), self.phase, kind, outcome, detail))

    def lagged(self, seconds: float) -> None:
        """Note how late the load generator itself was."""
        self.lags[self.phase].append(seconds)

    @property
    def lost(self) -> int:
        """How much was lost; failed restarts count."""
        lost = sum(count for (_, outcome), count in self.counts.items() if outcome in LOST)
        return lost + len(self.failures)
