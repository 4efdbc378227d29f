"""How long a start takes, from the command to serving with two workers, and where that time goes.

`python -m benchmarks.start`; nothing else should run meanwhile. A start is told from its READY=1.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from benchmarks.process import BenchError, Program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONFIG = """
admin: {address: 127.0.0.1:0}
listeners:
- name: web
  address: 127.0.0.1:0
  filters:
  - http_connection_manager:
      stat_prefix: web
      access_log: {path: /dev/null}
      routes: [{match: {prefix: /}, route: {cluster: app}}]
clusters: [{name: app, endpoints: [127.0.0.1:1]}]
"""
PATIENCE = 30.0  # seconds
IMPORTED = re.compile(r"import time: +(\d+) \| +\d+ \| +([\w.]+)")


@attrs.frozen
class Start:
    """One start: seconds by the clock, CPU seconds of all its processes, and what they printed."""

    elapsed: float
    cpu: float
    log: str


@contextmanager
def readiness(directory: Path) -> Iterator[socket.socket]:
    """A socket on which a process that is started next says that it is ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(directory / "notify"))
        sock.settimeout(PATIENCE)
        yield sock
    (directory / "notify").unlink()


def start(directory: Path, *python: str) -> Start:
    """Start trioproxy with two workers and these options of Python, and end it again."""
    arguments = ["--config-yaml", CONFIG, "--concurrency", "2"]
    arguments += ["--socket-path", str(directory / "control")]
    # As installed: with its bytecode.
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(directory / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["NOTIFY_SOCKET"] = str(directory / "notify")
    log = directory / "log"
    with readiness(directory) as ready, log.open("wb") as output:
        began = time.monotonic()
        command = [sys.executable, *python, "-m", "trioproxy", *arguments]
        program = Program(subprocess.Popen(command, stderr=output, env=environment), log)
        try:
            while b"READY=1" not in ready.recv(1000):
                pass
            return Start(time.monotonic() - began, cpu_seconds(program), log.read_text())
        except TimeoutError:
            raise BenchError(f"not ready in {PATIENCE:g} s:\n{program.tail()}") from None
        finally:
            program.end()


def cpu_seconds(program: Program) -> float:
    """What all processes have used so far, finer than the clock ticks of other works."""
    schedules = (Path(f"/proc/{pid}/schedstat").read_text() for pid in program.tree())
    return sum(int(schedule.split()[0]) for schedule in schedules) / 1e9


def imports(logs: Sequence[str]) -> Counter[str]:
    """Return the milliseconds that each package takes to import, at its quickest in any log."""
    quickest: dict[str, float] = {}
    for log in logs:
        for microseconds, name in IMPORTED.findall(log):
            took = int(microseconds) / 1000
            quickest[name] = min(took, quickest.get(name, took))
    packages: Counter[str] = Counter()
    for name, took in quickest.items():
        packages[name.partition(".")[0]] += round(took, 3)
    return packages


def summary(starts: Sequence[Start], packages: Counter[str]) -> str:
    """Return what is printed."""
    elapsed = sorted(each.elapsed * 1000 for each in starts)
    cpu = statistics.median(each.cpu * 1000 for each in starts)
    most = ", ".join(f"{name} {took:.0f}" for name, took in packages.most_common(4))
    return (
        f"command to serving, 2 workers, {len(starts)} starts: {statistics.median(elapsed):.0f} ms"
        f" ({elapsed[0]:.0f}..{elapsed[-1]:.0f}); CPU {cpu:.0f} ms\n"
        f"imports: {packages.total():.0f} ms; of these {most}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="bench-start-") as name:
        directory = Path(name)
        start(directory)  # writes bytecode
        starts = [start(directory) for _ in range(rounds)]
        logs = [start(directory, "-X", "importtime").log for _ in range(rounds)]
    print(summary(starts, imports(logs)))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(f"bench: {error}")
