"""The soak's command line."""

from __future__ import annotations

import argparse
import datetime
import gc
import os
import platform
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
from soak.run import Plan, soak
from soak.systems import SYSTEMS, Times


def workers(text: str) -> tuple[int, ...]:
    """Read `2` or `1:2`: generations take these numbers of workers in turns."""
    counts = tuple(int(part) for part in text.split(":"))
    if not all(count > 0 for count in counts):
        raise argparse.ArgumentTypeError(f"expected numbers of workers such as 1:2, found {text!r}")
    return counts


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Restarts a proxy hot, again and again, under a mixed load. "
        "Exit status 1 if a client lost anything.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--system", choices=SYSTEMS, default="trioproxy", help="what is restarted")
    add("--restarts", type=int, default=20, metavar="N", help="how often")
    add("--concurrency", type=workers, default=(2,), metavar="A:B", help="workers, in turns")
    add("--drain-time-s", type=int, default=5, metavar="S", help="as the proxy's option")
    add("--parent-shutdown-time-s", type=int, default=8, metavar="S", help="as the proxy's option")
    add("--filter", choices=("http", "tcp"), default="http", help="what HTTP clients go through")
    add("--rate", type=float, default=400, help="new connections a second, one request each")
    add("--busy", type=int, default=48, metavar="N", help="busy keep-alive connections")
    add("--busy-rate", type=float, default=10, metavar="RATE", help="requests a second on each")
    add("--sleepy", type=int, default=16, metavar="N", help="keep-alive connections seldom used")
    add("--sleepy-gap", type=float, default=1, metavar="S", help="longest pause on them")
    add("--transfer", type=float, default=6, metavar="S", help="duration of transfers; 0: none")
    add("--tcp", type=int, default=0, metavar="N", help="TCP sessions")
    add("--websockets", type=int, default=0, metavar="N", help="WebSocket sessions")
    add("--calm", type=float, default=1, metavar="S", help="seconds between restarts")
    add("--pin", action="store_true", help="proxy on one core, clients and origin on another")
    add("--results", type=Path, default=Path("soak-results"), metavar="DIRECTORY", help="where to")
    return parser.parse_args()


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
    return Plan(
        restarts=arguments.restarts,
        rate=arguments.rate,
        busy=arguments.busy,
        busy_rate=arguments.busy_rate,
        sleepy=arguments.sleepy,
        sleepy_gap=arguments.sleepy_gap,
        transfer=arguments.transfer,
        tcp=arguments.tcp,
        websockets=arguments.websockets,
        calm=arguments.calm,
        through=arguments.filter,
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
    signal.signal(signal.SIGTERM, stop)
    plan, system = plan_of(arguments), SYSTEMS[arguments.system]
    gc.freeze()
    wall, cpu = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory(prefix=f"soak-{system.name}-") as name:
        ledger = trio.run(soak, plan, system, Path(name), say)
    facts = {
        "system": system.name,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "plan": attrs.asdict(plan),
        "seconds": round(time.monotonic() - wall, 1),
        "load_generator_cpu_share": round((time.process_time() - cpu) / (time.monotonic() - wall), 2),
    }
    results = Results(
        report.markdown(ledger), plot.svg(ledger, system.name), report.document(ledger, facts)
    )
    results.write(arguments.results)
    print(results.table)
    print(f"lost: {ledger.lost}")
    return 1 if ledger.lost else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except* KeyboardInterrupt:
        sys.exit(130)
    except* BenchError as error:
        sys.exit(f"soak: {error.exceptions[0]}")
