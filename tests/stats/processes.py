"""Other processes that share a region: they claim, count, say so and wait to be killed."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioproxy.stats.region import Region

PRELUDE = """
import sys
from trioproxy.stats import locks
from trioproxy.stats.region import Region

region = Region.attach(int(sys.argv[1]))
"""
FINALE = """
print("there", flush=True)
sys.stdin.read()
"""


@contextmanager
def process(region: Region, program: str) -> Iterator[subprocess.Popen[str]]:
    """Run `program` in a process with `region` attached; killed with SIGKILL, at the latest here.

    The fd is inherited, so it shares its open file with ours: as one received by SCM_RIGHTS does.
    """
    command = [sys.executable, "-c", PRELUDE + program + FINALE, str(region.fd)]
    with subprocess.Popen(
        command,
        pass_fds=[region.fd],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "there\n"
            yield child
        finally:
            child.kill()


def kill(child: subprocess.Popen[str]) -> None:
    """Kill -9, and wait until the kernel has let go of what the process held."""
    child.kill()
    child.wait()
