"""The soak's command line."""

from __future__ import annotations

import argparse
import datetime
import gc
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import attrs
import trio

from benchmarks.process import BenchError
from benchmarks.publish import Results
from soak import plot, report
from soak.instance import SoakError
from soak.run import Plan, soak
from soak.systems import SYSTEMS, Times

DIRECT = "direct"
PLAN = Plan()


def workers(text: str) -> tuple[int, ...]:
    """Read `2` or `2,2,1`: generations take these numbers of workers in turns."""
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = (0,)
    if min(counts) < 1:
        raise argparse.ArgumentTypeError(f"expected numbers of workers such as 2,1, found {text!r}")
    return counts


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Restarts a proxy hot, again and again, under a mixed load. "
        "Exit status 1 if a client lost anything.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_restarts(parser)
    add_load(parser)
    option = parser.add_argument
    option("--tls", action="store_true", help="HTTP clients speak TLS (trioproxy alone)")
    option("--pin", action="store_true", help="proxy on one core, clients and origin on another")
    option("--results", type=Path, default="soak-results", metavar="DIRECTORY", help="where to")
    return parser.parse_args()


def add_restarts(parser: argparse.ArgumentParser) -> None:
    """Add what is restarted, how often and how."""
    option, times = parser.add_argument, PLAN.times
    option(
        "--target",
        choices=(*SYSTEMS, DIRECT),
        default="trioproxy",
        help=f"{DIRECT}: no proxy at all, which tells what the load itself costs",
    )
    option("--restarts", type=int, default=PLAN.restarts, metavar="N", help="how often")
    option(
        "--signals",
        type=int,
        default=PLAN.signals,
        metavar="N",
        help="signals for each restart, in quick succession",
    )
    option(
        "--concurrency",
        type=workers,
        default=",".join(map(str, PLAN.workers)),
        metavar="N,...",
        help="workers of the generations, in turns",
    )
    option("--drain-time-s", type=int, default=times.drain, metavar="S", help="as the proxy's")
    option(
        "--parent-shutdown-time-s",
        type=int,
        default=times.shutdown,
        metavar="S",
        help="as the proxy's",
    )
    option("--calm", type=float, default=PLAN.calm, metavar="S", help="seconds between restarts")


def add_load(parser: argparse.ArgumentParser) -> None:
    """Add who asks how often."""
    for name, unit, words in (
        ("rate", "RATE", "new connections a second, one request each"),
        ("busy", "N", "busy keep-alive connections"),
        ("busy_rate", "RATE", "requests a second on each"),
        ("sleepy", "N", "keep-alive connections that pause longer than any sweep"),
        ("sleepy_gap", "S", "their longest pause; the shortest is half of it"),
        ("idle", "N", "keep-alive connections that are hardly used"),
        ("idle_gap", "S", "their longest pause; the shortest is half of it"),
        ("http2", "N", "connections of HTTP/2; nginx has none on this port"),
        ("http2_rate", "RATE", "times a second that each asks four things"),
        ("transfer", "S", "duration of downloads and uploads; 0: none"),
        ("tcp", "N", "TCP sessions"),
        ("half_closed", "N", "TCP sessions of which one side has said all"),
        ("websockets", "N", "WebSocket sessions"),
        ("session_gap", "S", "seconds between two messages of a session"),
    ):
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=int if unit == "N" else float,
            default=getattr(PLAN, name),
            metavar=unit,
            help=words,
        )


def pin() -> int | None:
    """Pin this process, and with it the origin; returns the core for the proxy."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        say("one core only: nothing is pinned")
        return None
    os.sched_setaffinity(0, {cores[-1]})
    return cores[0]


def plan_of(arguments: argparse.Namespace) -> Plan:
    """What is asked for."""
    given = vars(arguments)
    plain = {field.name: given[field.name] for field in attrs.fields(Plan) if field.name in given}
    return Plan(
        **plain,
        workers=arguments.concurrency,
        times=Times(arguments.drain_time_s, arguments.parent_shutdown_time_s),
        core=pin() if arguments.pin else None,
    )


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def stop(_number: int, _frame: object) -> None:
    """SIGTERM unwinds like Ctrl-C: every program that was started is ended."""
    raise KeyboardInterrupt


def main() -> int:
    arguments = parse_arguments()
    if arguments.tls and arguments.target != "trioproxy":
        raise SoakError("--tls is for trioproxy alone")
    signal.signal(signal.SIGTERM, stop)
    plan, target = plan_of(arguments), arguments.target
    arguments.results.mkdir(parents=True, exist_ok=True)
    gc.freeze()
    wall, cpu = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory(prefix=f"soak-{target}-") as name:
        ledger = trio.run(soak, plan, SYSTEMS.get(target), Path(name), say)
        if target != DIRECT:
            shutil.copy(Path(name) / "log", arguments.results / "log")
    seconds = time.monotonic() - wall
    facts = {
        "target": target,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "plan": attrs.asdict(plan),
        "seconds": round(seconds, 1),
        "load_generator_cpu_share": round((time.process_time() - cpu) / seconds, 2),
    }
    results = Results(
        report.markdown(ledger), plot.svg(ledger, target), report.document(ledger, facts)
    )
    results.write(arguments.results)
    print(results.table)
    print(f"lost: {ledger.lost}")
    return 1 if ledger.lost else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (BenchError, SoakError) as error:
        sys.exit(f"soak: {error}")
