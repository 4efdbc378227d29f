"""A child that fails: whenever it does and however, its parent serves as if nothing had been."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import PATIENCE
from scripted import ScriptedChild
from sites import Gate, Unfinished, a_site, get, wait_for_gauge, web

from trioproxy.restart.protocol import Hello
from trioproxy.stats.layout import LAYOUT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from instances import Instance
    from sites import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def parent(site: Site) -> Instance:
    """A generation that outlives every child of this module."""
    site.configure(web(), web("unix", f"unix:{site.directory}/unix", "unix", mode="600"))
    return site.serve()


def check_as_before(site: Site, parent: Instance) -> None:
    """Clients, admin and the next child find everything as it was."""
    assert get(parent.ports["web"]) == "one"
    assert get(parent.ports["admin"], "/ready") == "LIVE\n"
    wait_for_gauge(parent.ports["admin"], "server.total_connections", 0)
    assert site.left() == {"control_0", "unix"}
    assert (site.directory / "unix").stat().st_mode & 0o777 == 0o600
    with Unfinished(parent.ports["web"]) as unfinished:
        with ScriptedChild(site) as child:
            child.take_over()
        parent.wait_for(f"a next generation starts (pid {os.getpid()},")
        parent.wait_for("the next generation died: serving as before")
        assert unfinished.finish() == "one"


def greet_unheard(child: ScriptedChild) -> None:
    child.channel.send(Hello(None, 60.0, LAYOUT_VERSION))


def listen(child: ScriptedChild) -> None:
    child.take_sockets()
    for sock in child.sockets:
        sock.listen()


def drain_unheard(child: ScriptedChild) -> None:
    child.take_sockets()
    child.channel.send(child.drain())


def take_over_in_part(child: ScriptedChild) -> None:
    child.take_over("web", "unix")


@pytest.mark.parametrize(
    "stage",
    [
        greet_unheard,
        ScriptedChild.greet,
        ScriptedChild.take_sockets,
        listen,
        drain_unheard,
        ScriptedChild.take_over,
        take_over_in_part,
    ],
    ids=lambda stage: stage.__name__,
)
def test_a_child_that_dies(
    site: Site, parent: Instance, stage: Callable[[ScriptedChild], None]
) -> None:
    """A27, A28, A41: at any stage."""
    with Unfinished(parent.ports["web"]) as unfinished:
        with ScriptedChild(site) as child:
            stage(child)
        parent.wait_for("the next generation died: serving as before")
        assert unfinished.finish() == "one"
    check_as_before(site, parent)


@pytest.mark.parametrize("after", [ScriptedChild.greet, ScriptedChild.take_over])
def test_a_child_that_says_what_is_not_its_turn(
    site: Site, parent: Instance, after: Callable[[ScriptedChild], None]
) -> None:
    with Unfinished(parent.ports["web"]) as unfinished, ScriptedChild(site) as child:
        after(child)
        child.channel.send(Hello(None, 60.0, LAYOUT_VERSION))
        parent.wait_for("refusing a next generation: expected ")
        assert unfinished.finish() == "one"
    check_as_before(site, parent)


def test_who_connects_and_says_nothing_is_not_worth_a_line(site: Site, parent: Instance) -> None:
    lines = len(parent.log)
    with ScriptedChild(site):
        pass
    check_as_before(site, parent)
    assert sum("generation" in line for line in parent.log[lines:]) == 2  # it starts, and dies


def test_children_that_die_cost_no_descriptors(site: Site, parent: Instance) -> None:
    descriptors = Path(f"/proc/{parent.pid}/fd")
    check_as_before(site, parent)
    before = len(list(descriptors.iterdir()))
    for _ in range(5):
        check_as_before(site, parent)
    give_up = time.monotonic() + PATIENCE
    while len(list(descriptors.iterdir())) > before:  # it may still close what we have closed
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_child_that_dies_when_the_last_connection_ends(site: Site, parent: Instance) -> None:
    """What main learns in one turn of its loop, it weighs together."""
    with ScriptedChild(site) as child, Unfinished(parent.ports["web"]) as unfinished:
        child.take_over()
        parent.signal(signal.SIGSTOP)
        assert unfinished.finish() == "one"
        unfinished.close()
        child.wait_for_gauge("server.total_connections", 0)
    parent.signal(signal.SIGCONT)
    parent.wait_for("the next generation died: serving as before")
    check_as_before(site, parent)


def test_a_configuration_that_is_not_valid(site: Site, parent: Instance) -> None:
    """A28: a typo."""
    site.config.write_text("listener: []\n")
    child = site.start(1)
    assert child.wait_gone() == 1
    assert "did you mean 'listeners'" in child.log[0]
    check_as_before(site, parent)


def test_a_port_that_is_taken(site: Site, parent: Instance) -> None:
    """A26, A27: it is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        site.configure(web("two"), web(address=address, name="another"))
        child = site.start(1)
        assert child.wait_gone() == 1
    assert f"another: cannot bind {address}: Address already in use" in child.log[-1]
    check_as_before(site, parent)


def kill_it(child: Instance, worker: int) -> None:
    child.signal(signal.SIGKILL)


def kill_a_worker(child: Instance, worker: int) -> None:
    os.kill(worker, signal.SIGKILL)


def end_it(child: Instance, worker: int) -> None:
    child.signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("happening", "status", "said"),
    [
        (kill_it, -signal.SIGKILL, "main is gone"),
        (kill_a_worker, 1, "is not ready: killed by SIGKILL"),
        (end_it, 0, "terminated"),
    ],
)
def test_a_child_that_ends_while_it_starts(
    site: Site,
    parent: Instance,
    happening: Callable[[Instance, int], None],
    status: int,
    said: str,
) -> None:
    """A28, A41: it has the sockets already; the parent's admin answers meanwhile (A33)."""
    with Gate(site) as gate:
        site.configure(web("two", http_filters=gate.filters))
        child = site.start(1)
        pid = gate.wait_reached()
        assert get(parent.ports["admin"], "/ready") == "LIVE\n"
        happening(child, pid)
        gate.open()
        assert child.wait_gone() == status
    assert said in child.log[-1]
    check_as_before(site, parent)


def test_a_child_that_is_never_ready(site: Site, parent: Instance) -> None:
    """A32: with static clusters."""
    with Gate(site) as gate:
        hot_restart = {"init_timeout": "0.5s"}
        site.configure(web("two", http_filters=gate.filters), hot_restart=hot_restart)
        child = site.start(1)
        assert child.wait_gone() == 1
    assert "not ready in 0.5 s: worker 0, 1 (hot_restart.init_timeout)" in child.log[-1]
    check_as_before(site, parent)


@pytest.mark.parametrize("epoch", [2, 3])
def test_a_wrong_epoch(site: Site, parent: Instance, epoch: int) -> None:
    child = site.start(epoch)
    assert child.wait_gone() == 1
    assert f"the parent refuses: epoch {epoch} cannot follow epoch 0" in child.log[-1]
    check_as_before(site, parent)


def test_a_second_epoch_0(site: Site, parent: Instance) -> None:
    """A10: the first can still hot restart."""
    second = site.start(0)
    assert second.wait_gone() == 1
    assert "--base-id 0" in second.log[-1]
    check_as_before(site, parent)


def test_a_child_killed_after_it_took_over(site: Site, parent: Instance) -> None:
    """A28, A41, A81: kill -9; and the child after it has it all at last."""
    port, admin = parent.ports["web"], parent.ports["admin"]
    site.configure(web("two"), web("unix", f"unix:{site.directory}/unix", "unix", mode="660"))
    with Unfinished(port) as unfinished:
        child = site.serve(1)
        with Unfinished(port):
            assert get(port) == "two"
            child.signal(signal.SIGKILL)
            parent.wait_for("the next generation died: serving as before")
        assert child.wait_gone() == -signal.SIGKILL
        assert get(port) == "one"
        wait_for_gauge(admin, "server.total_connections", 1)
        assert unfinished.finish() == "one"
    check_as_before(site, parent)
    child = site.serve(1)
    assert get(port) == "two"
    assert parent.wait_gone() == 0
    child.signal(signal.SIGTERM)
    assert child.wait_gone() == 0
    assert site.left() == set()
