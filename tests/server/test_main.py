"""What main does by itself; its life with others is in tests/end_to_end."""

from __future__ import annotations

import subprocess
import sys

from trioproxy.server.main import flatten

STUCK = """
import time
from types import SimpleNamespace as Some
from trioproxy.server import main
from trioproxy.server.log import open_log

main.BACKSTOP = 0.05
shutdown = Some(lame_duck=0, time=0.05)
supervisor = Some(kill=lambda: print("killed", flush=True))
with open_log():
    with main.backstop(Some(config=Some(shutdown=shutdown), supervisor=supervisor)):
        time.sleep(float({stuck}))
    time.sleep(0.2)
    print("left in time")
"""


def run(stuck: float) -> subprocess.CompletedProcess[str]:
    program = STUCK.format(stuck=stuck)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )


def test_the_kernel_ends_a_main_that_is_stuck() -> None:
    done = run(stuck=1000)
    assert done.returncode == 0
    assert done.stdout == "killed\n"
    assert "did not end in time" in done.stderr


def test_a_main_that_leaves_in_time_is_not_struck() -> None:
    assert run(stuck=0).stdout == "left in time\n"


def test_groups_are_flattened() -> None:
    one, two = ValueError("one"), ValueError("two")
    group = ExceptionGroup("all", [one, ExceptionGroup("some", [two])])
    assert list(flatten(group)) == [one, two]
