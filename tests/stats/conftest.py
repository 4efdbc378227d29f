from __future__ import annotations

import subprocess
import sys
from bisect import bisect_left
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from trioproxy.stats.buckets import BOUNDS
from trioproxy.stats.region import Region
from trioproxy.stats.snapshot import Distribution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def region() -> Iterator[Region]:
    with Region.create() as region:
        yield region


PROGRAM = """
import sys
from trioproxy.stats import locks
from trioproxy.stats.region import Region

region = Region.attach(int(sys.argv[1]))
{}
print("there", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def spawn(region: Region) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a process that attaches to `region`, does what the given lines say, and stays.

    The fd is inherited, so it shares its open file with ours: as one received by SCM_RIGHTS does.
    """
    with ExitStack() as processes:

        def spawn(lines: str) -> subprocess.Popen[str]:
            child = processes.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", PROGRAM.format(lines), str(region.fd)],
                    pass_fds=[region.fd],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            processes.callback(child.kill)
            assert child.stdout is not None
            assert child.stdout.readline() == "there\n"
            return child

        yield spawn


@pytest.fixture
def kill() -> Callable[[subprocess.Popen[str]], None]:
    """Kill -9, and wait until the kernel has let go of what the process held."""

    def kill(child: subprocess.Popen[str]) -> None:
        child.kill()
        child.wait()

    return kill


@pytest.fixture
def distribution() -> Callable[..., Distribution]:
    """What a histogram has taken in after the given values."""

    def distribution(*values: float) -> Distribution:
        counts = [0] * (len(BOUNDS) + 1)
        for value in values:
            counts[bisect_left(BOUNDS, value)] += 1
        return Distribution(sum(values), tuple(counts))

    return distribution
