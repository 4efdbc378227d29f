"""The benchmark's command line."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import plot, report
from benchmarks.origin import open_origin
from benchmarks.process import BenchError
from benchmarks.publish import Results
from benchmarks.run import Outcome, Plan, compare
from benchmarks.systems import SYSTEMS
from benchmarks.works import WORKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.systems import System
    from benchmarks.works import Work

OPTIONAL = [name for name, work in WORKS.items() if work.optional]
DEFAULT_WORKS = [name for name in WORKS if name not in OPTIONAL]


def names_from(known: Mapping[str, object], text: str) -> list[str]:
    """A comma-separated choice out of `known`."""
    names = text.split(",")
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; have {', '.join(known)}")
    return names


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Compares one trioproxy worker with Envoy, HAProxy and nginx, side by side.",
        epilog=f"works: {', '.join(DEFAULT_WORKS)}; only when named: {', '.join(OPTIONAL)}",
    )
    parser.add_argument("--systems", type=lambda text: names_from(SYSTEMS, text), metavar="A,B")
    parser.add_argument("--works", type=lambda text: names_from(WORKS, text), metavar="A,B")
    parser.add_argument("--seconds", type=float, default=3, help="of load, a system and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="3 rounds of 0.7 s: rougher figures")
    parser.add_argument("--results", type=Path, default=Path("bench-results"), metavar="DIRECTORY")
    parser.add_argument("--publish", action="store_true", help="put the results into docs/ too")
    return parser.parse_args()


def pin() -> int:
    """Pin this process, and with it the load and the origin; returns the core for the proxies."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        say("one core only: load and proxies share it, and latency suffers; CPU still counts")
    os.sched_setaffinity(0, {cores[0]})
    return cores[-1]


def measure(works: list[Work], systems: list[System], plan: Plan) -> dict[str, Outcome]:
    """All works against one origin."""
    outcomes: dict[str, Outcome] = {}
    with (
        tempfile.TemporaryDirectory(prefix="bench-origin-") as name,
        open_origin(min(os.sched_getaffinity(0)), Path(name)) as origin,
    ):
        for work in works:
            say(f"{work.title} [{work.name}]")
            outcomes[work.name] = compare(work, systems, origin, plan, say)
            for system, failure in outcomes[work.name].failures.items():
                say(f"  {system} FAILED: {failure}")
    return outcomes


def facts(systems: list[System], plan: Plan) -> dict[str, object]:
    """What a reader needs to judge the figures."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "versions": {system.name: system.told_version() for system in systems},
    }


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def stop(_number: int, _frame: object) -> None:
    """SIGTERM unwinds like Ctrl-C: every program that was started is ended."""
    raise KeyboardInterrupt


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, stop)
    rounds, seconds = (3, 0.7) if arguments.quick else (arguments.rounds, arguments.seconds)
    plan = Plan(rounds, seconds, warm_up=min(1.0, seconds / 2), core=pin())
    systems = [SYSTEMS[name] for name in arguments.systems or SYSTEMS]
    works = [WORKS[name] for name in arguments.works or DEFAULT_WORKS]
    told = facts(systems, plan)
    outcomes = measure(works, systems, plan)
    rows = [report.row_of(work, outcomes[work.name]) for work in works]
    names = [system.name for system in systems]
    results = Results(
        report.markdown(rows, names),
        plot.svg(rows, names),
        report.document(rows, outcomes, told),
    )
    results.write(arguments.results)
    print(results.table)
    if any(row.failures for row in rows):
        return 1
    if arguments.publish:
        results.publish()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BenchError as error:
        sys.exit(f"bench: {error}")
