"""What is measured, and what was promised of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import trio

from benchmarks.leaving.ramp import Drain, Ramp
from benchmarks.leaving.stall import WAYS, stall
from soak.ledger import Kind, Ledger, Outcome, Phase
from soak.run import Plan, soak
from soak.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Say = Callable[[str], None]

RESTARTS = 5
NOBODY = Plan(rate=0, busy=0, sleepy=0, idle=0, transfer=0, tcp=0, half_closed=0, websockets=0)
PAIRS = attrs.evolve(NOBODY, restarts=RESTARTS, workers=(2,), tcp=1000, session_gap=0.5)
ASKING = attrs.evolve(NOBODY, restarts=RESTARTS, workers=(2,), busy=1000, busy_rate=1e6)
HELD = 10_000
RAMP_SECONDS, RAMP_CLIENTS = 40.0, 250


@attrs.frozen
class Finding:
    """One line of the table."""

    what: str
    promised: str
    measured: str
    kept: bool


def pairs(scale: float, say: Say) -> Iterator[Finding]:
    """TCP sessions that talk through restarts."""
    plan = attrs.evolve(PAIRS, tcp=int(PAIRS.tcp * scale))
    ledger = run(plan, say)
    title = f"{plan.tcp:,} TCP sessions through {len(ledger.restarts)} restarts"
    before, meanwhile = longest(ledger, Kind.TCP)
    yield Finding(f"{title}: lost", "0", f"{ledger.lost}", not ledger.lost)
    pause = f"{meanwhile:.0f} ms (without a restart {before:.0f})"
    yield Finding("... longest wait for an echo", "250 ms", pause, meanwhile <= 250)


def asking(scale: float, say: Say) -> Iterator[Finding]:
    """Keep-alive connections that ask as fast as they are answered, through restarts."""
    plan = attrs.evolve(ASKING, busy=int(ASKING.busy * scale))
    ledger = run(plan, say)
    title = f"{plan.busy:,} keep-alive connections at full load, {len(ledger.restarts)} restarts"
    count = ledger.counts[Kind.BUSY, Outcome.ANSWERED]
    errors = f"{ledger.lost}, of {count:,} requests"
    yield Finding(f"{title}: errors", "0", errors, not ledger.lost)
    told = ledger.counts[Kind.BUSY, Outcome.TOLD]
    yield Finding("... told to leave", "0", f"{told}", not told)


def stalls(scale: float, say: Say) -> Iterator[Finding]:
    """Connections that are told to leave, each way."""
    count = int(HELD * scale)
    for number, way in enumerate(WAYS):
        say(f"{count:,} connections {way}")
        turns = stall(way, count)
        elapsed, cpu = turns.elapsed * 1000, turns.cpu * 1000
        title = "..." if number else f"{count:,} connections: longest stall of the loop,"
        measured = f"{elapsed:.0f} ms ({cpu:.0f} of the processor's)"
        yield Finding(f"{title} {way}", "50 ms", measured, cpu <= 50)


def ramps(scale: float, say: Say) -> dict[str, Ramp]:
    """Drains of either strategy."""
    found = {}
    for strategy in ("gradual", "immediate"):
        say(f"a drain of {RAMP_SECONDS * scale:g} s, {strategy}")
        plan = Drain(strategy, RAMP_SECONDS * scale, max(10, int(RAMP_CLIENTS * scale)))
        with tempfile.TemporaryDirectory(prefix="leaving-") as name:
            found[strategy] = plan.measure(Path(name), min(os.sched_getaffinity(0)))
    return found


def run(plan: Plan, say: Say) -> Ledger:
    """Restart trioproxy under the load of a plan."""
    with tempfile.TemporaryDirectory(prefix="leaving-") as name:
        return trio.run(soak, plan, SYSTEMS["trioproxy"], Path(name), say)


def longest(ledger: Ledger, kind: Kind) -> tuple[float, float]:
    """Return the longest waits for an answer in milliseconds: in the calm, and in restarts."""
    seconds = {phase: ledger.latencies[kind, phase].seconds for phase in Phase}
    calm = max(seconds.pop(Phase.CALM), default=0.0)
    return calm * 1000, max((s for each in seconds.values() for s in each), default=0.0) * 1000


TABLES = {"pairs": pairs, "asking": asking, "stalls": stalls}
RAMPS = "ramps"
