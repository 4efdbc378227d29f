"""Runs one work on all systems in turns (A B C D A B C D ...), so that drift meets them alike."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from benchmarks.checks import answers, check_http, check_l4
from benchmarks.origin import free_ports
from benchmarks.process import BenchError, running, wait_until
from benchmarks.systems import Ports
from benchmarks.works import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.origin import Origin
    from benchmarks.systems import System
    from benchmarks.works import Work

START_TIMEOUT = 15.0


@attrs.frozen
class Plan:
    """How long and how often; times in seconds."""

    rounds: int
    seconds: float
    warm_up: float
    core: int


@attrs.frozen
class Outcome:
    """The figures of one work: by system, a value a round; and why a system has none."""

    values: dict[str, list[float]] = attrs.Factory(dict)
    failures: dict[str, str] = attrs.Factory(dict)


@contextlib.contextmanager
def serving(system: System, protocol: str, origin: Origin, core: int) -> Iterator[Target]:
    """The system, started in a directory of its own, checked, and ended with the context."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{system.name}-") as name:
        ports, directory = Ports(*free_ports(3)), Path(name)
        command = system.command(system.configure(directory, protocol, ports, origin))
        tls = protocol == "tls"
        port = ports.bulk if protocol == "l4" else ports.http
        began = time.monotonic()
        with running(command, core, directory) as program:
            wait_until(program, lambda: answers(port, tls=tls), START_TIMEOUT)
            took = time.monotonic() - began
            if protocol == "l4":
                check_l4(ports, origin)
            else:
                check_http(ports, origin, tls=tls)
            yield Target(program, ports, origin, took, "https" if tls else "http")


def compare(
    work: Work, systems: Sequence[System], origin: Origin, plan: Plan, say: Callable[[str], None]
) -> Outcome:
    """Measure the work on every system, round by round; a system that fails drops out."""
    outcome = Outcome()
    with contextlib.ExitStack() as stack:
        turns: dict[str, Callable[[float], float]] = {}
        for system in systems:
            if system.name == work.without:
                continue
            with noting(outcome, system.name):
                turns[system.name] = open_turn(work, system, origin, plan, stack)
        for _ in range(plan.rounds):
            for name in [name for name in turns if name not in outcome.failures]:
                with noting(outcome, name):
                    value = turns[name](plan.seconds)
                    outcome.values.setdefault(name, []).append(value)
                    say(f"  {name}: {value:.1f} {work.unit}")
    for name in outcome.failures:
        outcome.values.pop(name, None)
    return outcome


def open_turn(
    work: Work, system: System, origin: Origin, plan: Plan, stack: contextlib.ExitStack
) -> Callable[[float], float]:
    """What measures one round: on a process that stays and is warm, or on a fresh one each time."""

    def fresh(seconds: float) -> float:
        with serving(system, work.protocol, origin, plan.core) as target:
            return work.measure(target, seconds)

    if work.fresh:
        return fresh
    target = stack.enter_context(serving(system, work.protocol, origin, plan.core))
    if plan.warm_up:
        work.measure(target, plan.warm_up)
    return lambda seconds: work.measure(target, seconds)


@contextlib.contextmanager
def noting(outcome: Outcome, name: str) -> Iterator[None]:
    """Keep a failure as the system's outcome."""
    try:
        yield
    except (BenchError, OSError) as failure:
        outcome.failures[name] = f"{type(failure).__name__}: {failure}"
