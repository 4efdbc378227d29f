"""Two generations at once: signals to either, workers that die in either, and how they leave."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from instances import PATIENCE
from scripted import ScriptedChild
from sites import Gate, Unfinished, Visitor, a_site, get, web

from trioproxy.restart.protocol import Terminate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sites import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        yield site


def test_sigterm_to_the_child_ends_both(site: Site) -> None:
    """What is in flight in the parent finishes; the parent does not take over again."""
    parent = site.serve()
    with Unfinished(parent.ports["web"]) as unfinished:
        child = site.serve(1)
        child.signal(signal.SIGTERM)
        child.wait_for("listeners refuse connections")
        with pytest.raises(ConnectionRefusedError):
            get(parent.ports["web"])
        assert unfinished.finish() == "one"
    assert parent.wait_gone() == 0
    assert child.wait_gone() == 0
    assert not any("serving as before" in line for line in parent.log)
    assert site.left() == set()


def test_sigterm_to_a_parent_that_drains(site: Site) -> None:
    """It leaves by its shutdown policy, and the child stays."""
    parent = site.serve()
    site.configure(web("two"))
    with Unfinished(parent.ports["web"]) as unfinished:
        child = site.serve(1)
        parent.signal(signal.SIGTERM)
        parent.wait_for("leaving: SIGTERM")
        assert get(parent.ports["web"]) == "two"
        assert unfinished.finish() == "one"
    assert parent.wait_gone() == 0
    child.wait_for("the parent is gone")
    assert get(child.ports["web"]) == "two"
    assert site.left() == {"control_0"}


def test_sigterm_to_a_parent_whose_child_starts(site: Site) -> None:
    """Who connects meanwhile is let in by the child."""
    parent = site.serve()
    with Gate(site) as gate:
        site.configure(web("two", http_filters=gate.filters))
        child = site.start(1)
        gate.wait_reached()
        parent.signal(signal.SIGTERM)
        assert parent.wait_gone() == 0
        with Visitor(parent.ports["web"]) as visitor:
            gate.open()
            visitor.wait_seen("two")
    child.wait_serving()
    assert visitor.failures == []


def test_a_child_that_ends_us_in_its_time_does_not_cut_short_our_own(site: Site) -> None:
    """A Terminate long after a SIGTERM is no second SIGTERM."""
    parent = site.serve()
    with Unfinished(parent.ports["web"]) as unfinished, ScriptedChild(site) as child:
        child.take_over()
        parent.signal(signal.SIGTERM)
        parent.wait_for("leaving: SIGTERM")
        time.sleep(1.1)  # now a second signal would mean: at once
        child.channel.send(Terminate(20))
        time.sleep(0.1)  # nobody says that it is obeyed
        assert unfinished.finish() == "one"
    assert parent.wait_gone() == 0
    assert not any("at once" in line for line in parent.log)


def test_a_child_that_dies_when_its_parent_has_to_leave(site: Site) -> None:
    """A39: after Terminate nobody comes back, and nothing is left."""
    site.configure(web(), web(address=f"unix:{site.directory}/unix", name="unix"))
    parent = site.serve()
    with Unfinished(parent.ports["web"]) as unfinished:
        with ScriptedChild(site) as child:
            child.take_over()
            child.channel.send(Terminate(20))
            parent.wait_for("leaving: the next generation says so")
        parent.wait_for("the next generation died: leaving all the same")
        assert unfinished.finish() == "one"
    assert parent.wait_gone() == 0
    assert site.left() == set()


def test_workers_that_die(site: Site) -> None:
    """The replacement of one that drained lets nobody in, before the child dies."""
    parent = site.serve()
    site.configure(web("two"))
    with ExitStack() as stack:
        port = parent.ports["web"]
        for _ in range(16):  # some on each worker
            stack.enter_context(Unfinished(port))
        child = site.serve(1)
        for generation in (parent, child):
            os.kill(generation.workers[0], signal.SIGKILL)
            generation.wait_for("is ready")
        assert {get(port) for _ in range(32)} == {"two"}
        child.signal(signal.SIGKILL)
        parent.wait_for("the next generation died: serving as before")
        child.wait_gone()
        assert {get(port) for _ in range(32)} == {"one"}


def test_sigusr1_to_both(site: Site) -> None:
    """A71: they share a log."""
    log = site.directory / "log"
    options = ("--log-path", str(log))
    generations = [site.start(0, *options)]
    wait_for_line(log, "epoch 0: serving")
    with Unfinished(listening_port(log)):
        generations.append(site.start(1, *options))
        wait_for_line(log, "epoch 1: serving")
        log.rename(site.directory / "old")
        for generation in generations:
            generation.signal(signal.SIGUSR1)
        wait_for_line(site.directory / "old", "SIGUSR1", 2)
        generations[1].signal(signal.SIGTERM)
        wait_for_line(log, "epoch 1: draining")
        wait_for_line(log, "leaving: the next generation says so")


def wait_for_line(log: Path, text: str, times: int = 1) -> None:
    give_up = time.monotonic() + PATIENCE
    while not log.exists() or log.read_text().count(text) < times:
        assert time.monotonic() < give_up, log.read_text()
        time.sleep(0.01)


def listening_port(log: Path) -> int:
    found = re.search(r"web listens on .*:(\d+)", log.read_text())
    assert found
    return int(found[1])
