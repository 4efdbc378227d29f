"""Statistics while generations come, go and are killed: nothing falls, and all sums are exact."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest
from lineage import (
    ACTIVE,
    REQUESTS,
    SERVER,
    TIMES,
    Client,
    Generations,
    Watcher,
    kill,
    kill_pids,
)
from scripted import ScriptedChild
from sites import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD_THE_LOCK = """
import sys
from trioproxy.stats.locks import Lock
from trioproxy.stats.region import Region

held = Region.attach(int(sys.argv[1])).try_lock(Lock.RESTART)
print("held" if held else "not to be had", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def generations(tmp_path: Path) -> Iterator[Generations]:
    with closing(Generations(tmp_path)) as generations:
        yield generations


def living(clients: list[Client]) -> int:
    return sum(client.is_open() for client in clients)


@pytest.mark.slow
def test_counters_and_histograms_never_fall(generations: Generations) -> None:
    """A80, A82: over restarts, and when the child or the parent is killed with -9."""
    generations.serve()
    with Visitor(generations.web) as visitor:
        watcher = Watcher(generations, visitor)
        epoch_1 = generations.serve()
        generations.connect()  # it stays
        assert watcher.missed == 0
        kill(generations.serve())
        epoch_1.wait_for("serving as before")
        generations.serve()
        kill(epoch_1)
        generations.serve()
        generations.all[-2].wait_gone()
    assert watcher.leave() == {0, 1, 2, 3}
    answered = visitor.seen["here"]
    asked = answered + 1 + len(visitor.failures)
    assert asked - len(visitor.failures) <= generations.counter(REQUESTS) <= asked
    # How long it took is known after the answer: whoever is killed there takes one sample along.
    assert asked - len(visitor.failures) - 2 <= generations.counter(TIMES) <= asked


def test_gauges_are_the_sum_over_the_living(generations: Generations) -> None:
    """A81: exact, with two generations, with a killed worker and with a killed generation."""
    parent = generations.serve()
    old = [generations.connect() for _ in range(8)]
    child = generations.serve()
    new = [generations.connect() for _ in range(5)]
    assert generations.gauge(ACTIVE) == generations.gauge(SERVER.format("total_connections")) == 13
    kill_pids([parent.workers[0]])
    assert generations.gauge(ACTIVE) == 5 + living(old)
    kill(parent)
    assert living(old) == 0
    assert generations.gauge(ACTIVE) == generations.gauge(SERVER.format("total_connections")) == 5
    kill_pids([child.workers[1]])
    assert generations.gauge(ACTIVE) == living(new)


def test_connections_that_move_count_once(tmp_path: Path) -> None:
    """A81, A83: whoever has them; the parent is gone when the last one has moved."""
    with closing(Generations(tmp_path, hand_over=True)) as generations:
        parent = generations.serve()
        clients = [generations.connect() for _ in range(8)]
        generations.serve()
        assert parent.wait_gone() == 0
        _, gauges = generations.scrape()
        assert gauges[ACTIVE] == gauges[SERVER.format("total_connections")] == living(clients) == 8
        assert gauges[SERVER.format("parent_connections")] == 0
        assert all(client.ask() for client in clients)
        assert generations.counter(REQUESTS) == 16


def test_the_server_statistics_of_two_generations(generations: Generations) -> None:
    """A83: connections are counted once, the parent's apart; the rest is the child's own."""
    generations.serve()
    generations.connect()
    generations.connect()
    generations.serve()
    generations.connect()
    _, gauges = generations.scrape()
    expected = {
        "hot_restart_epoch": 1,
        "hot_restart_generation": 2,
        "parent_connections": 2,
        "total_connections": 3,
        "live": 1,
        "state": 0,
        "concurrency": 2,
    }
    assert {name: gauges[SERVER.format(name)] for name in expected} == expected
    assert gauges[SERVER.format("uptime")] >= 0


def test_a_reset_holds_for_both_generations(generations: Generations) -> None:
    """A86: what the parent has counted and goes on counting included."""
    generations.serve()
    old = generations.connect()
    generations.serve()
    new = generations.connect()
    assert generations.counter(REQUESTS) == 2
    admin = HTTPConnection("127.0.0.1", generations.admin)
    admin.request("POST", "/reset_counters")
    assert admin.getresponse().read() == b"OK\n"
    admin.close()
    assert generations.counter(REQUESTS) == 0
    assert generations.gauge(ACTIVE) == 2
    assert old.ask()
    assert new.ask()
    assert generations.counter(REQUESTS) == 2


def test_a_killed_child_holds_no_lock(generations: Generations) -> None:
    """A88: 'a restart is in progress' ends with whoever said so, by the kernel."""
    generations.serve()
    with ScriptedChild(generations) as child:
        child.greet()
        child.channel.close()
        with holding_the_lock(child.region.fd) as holder:
            late = generations.begin()
            late.wait_for("another restart is in progress")
            assert late.wait_gone() == 1
            holder.send_signal(signal.SIGKILL)
    generations.serve()


def holding_the_lock(region: int) -> subprocess.Popen[bytes]:
    """Start a process that says that a restart is in progress."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(region)],
        pass_fds=[region],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    return holder
