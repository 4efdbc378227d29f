"""What is asked of the system, in a process of its own: limits and handlers stay."""

from __future__ import annotations

import subprocess
import sys


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )


def test_descriptors_are_had_up_to_the_hard_limit_and_it_is_logged() -> None:
    done = run("""
import resource
from trioproxy.server.limits import raise_descriptor_limit
from trioproxy.server.log import open_log
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
with open_log():
    raise_descriptor_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
""")
    assert done.stdout == "(200, 200)\n"
    assert "limit of open descriptors: 200 (was 100)" in done.stderr


def test_a_stack_is_dumped_on_demand_and_life_goes_on() -> None:
    done = run("""
import os, signal
from trioproxy.server.limits import dump_stacks_to
from trioproxy.server.log import open_log
def busy():
    os.kill(os.getpid(), signal.SIGUSR2)
    print("alive")
with open_log() as process_log:
    dump_stacks_to(process_log)
    busy()
""")
    assert done.stdout == "alive\n"
    assert "in busy" in done.stderr


def test_collections_are_rare() -> None:
    done = run("""
import gc
from trioproxy.server.limits import RARELY, YOUNG, collect_rarely
_, middle, _ = gc.get_threshold()
collect_rarely()
print(gc.get_threshold() == (YOUNG, middle, RARELY))
""")
    assert done.stdout == "True\n"
