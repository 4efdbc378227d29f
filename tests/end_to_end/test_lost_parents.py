"""A parent that dies or freezes: the child serves all the same, or says in time why it does not."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeAlias

import pytest
from instances import PATIENCE
from scripted import ScriptedChild, ScriptedParent
from sites import Gate, Unfinished, a_site, freeze, get, wait_for_gauge, web

from trioproxy.restart.protocol import Draining, Refused, Terminate, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from instances import Instance
    from sites import Site

Stage: TypeAlias = Callable[[ScriptedParent], None]
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SILENT = "the parent is silent for 0.5 s"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        yield site


@pytest.fixture
def parent(site: Site) -> Iterator[ScriptedParent]:
    """A parent whose child has what it has, and soon finds it silent."""
    with ScriptedParent(site) as parent:
        configure(site, parent, "exit")
        yield parent


def configure(site: Site, parent: ScriptedParent, silent: str, *more: object) -> None:
    hot_restart = {"parent_silent": {"after": "0.5s", "then": silent}}
    drain = {"parent_shutdown_time": "0s"}
    listener = web("two", f"127.0.0.1:{parent.port}")
    site.configure(listener, *more, hot_restart=hot_restart, drain=drain)


def check_serves(site: Site, child: Instance) -> None:
    """Clients, admin and the next child find what they want."""
    assert get(child.ports["web"]) == "two"
    assert get(child.ports["admin"], "/ready") == "LIVE\n"
    with ScriptedChild(site) as grandchild:
        assert grandchild.greet(epoch=2).epoch == 1
    child.wait_for("the next generation died: serving as before")


@pytest.mark.parametrize(
    "stage",
    [
        ScriptedParent.meet,
        ScriptedParent.welcome,
        ScriptedParent.pass_sockets,
        ScriptedParent.hear_drain,
        ScriptedParent.give_way,
    ],
)
def test_a_parent_that_dies(site: Site, parent: ScriptedParent, stage: Stage) -> None:
    """A29: at any stage; one line says so."""
    child = site.start(1)
    stage(parent)
    parent.die()
    child.wait_serving()
    check_serves(site, child)
    assert sum("the parent is gone" in line for line in child.log) == 1
    child.signal(signal.SIGTERM)
    assert child.wait_gone() == 0
    assert site.left() == set()


@pytest.mark.parametrize("stage", [ScriptedParent.meet, ScriptedParent.welcome])
def test_a_silent_parent_is_given_up_upon(site: Site, parent: ScriptedParent, stage: Stage) -> None:
    """A30: then: exit."""
    child = site.start(1)
    stage(parent)
    assert child.wait_gone() == 1
    assert f"{SILENT} (hot_restart.parent_silent)" in child.log[-1]
    assert site.left() == {"control_0"}


@pytest.mark.parametrize("stage", [ScriptedParent.meet, ScriptedParent.welcome])
def test_a_silent_parent_is_done_without(site: Site, parent: ScriptedParent, stage: Stage) -> None:
    """A30: then: bind. The kernel deals connections to a port out to both."""
    path = site.directory / "unix"
    configure(site, parent, "bind", web("two", f"unix:{path}", "unix"))
    with socket.socket(socket.AF_UNIX) as parents:
        parents.bind(str(path))
        parents.listen()
        child = site.start(1)
        stage(parent)
        child.wait_serving()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(REQUEST)
            assert b"two" in client.recv(1000)
    assert any(f"{SILENT}; starting without it" in line for line in child.log)
    assert any("no next generation will find this one" in line for line in child.log)
    with ExitStack() as stack:
        clients = [stack.enter_context(asking(parent.port)) for _ in range(32)]
        while not any(is_answered(client) for client in clients):
            pass


def asking(port: int) -> socket.socket:
    """Open a connection with a request on it."""
    client = socket.create_connection(("127.0.0.1", port), PATIENCE)
    client.sendall(REQUEST)
    return client


def is_answered(client: socket.socket) -> bool:
    client.settimeout(0.01)
    try:
        return b"two" in client.recv(1000)
    except TimeoutError:
        return False


@pytest.mark.parametrize("silent", ["exit", "bind"])
def test_a_parent_that_freezes_when_its_sockets_are_passed(
    site: Site, parent: ScriptedParent, silent: str
) -> None:
    """A23, A30: who waits in its queues is answered by the child."""
    configure(site, parent, silent)
    with ExitStack() as stack:
        clients = [stack.enter_context(asking(parent.port)) for _ in range(100)]
        child = site.start(1)
        parent.hear_drain()
        child.wait_serving()
        assert any(f"{SILENT}; taking over all the same" in line for line in child.log)
        assert all(b"two" in client.recv(1000) for client in clients)
    check_serves(site, child)
    parent.channel.send(Draining(0))  # it wakes up
    parent.hear(Terminate)
    parent.die()
    child.wait_for("the parent is gone")


@pytest.mark.slow
def test_a_parent_that_does_not_leave(site: Site, parent: ScriptedParent) -> None:
    """A30: the child says so, and the next restart works, which waits for it once more."""
    child = site.start(1)
    parent.give_way()
    child.wait_for("the parent has not left in time")
    check_serves(site, child)
    with ScriptedChild(site) as grandchild, Unfinished(parent.port):
        grandchild.take_sockets()
        grandchild.ask(grandchild.drain(), Wait)
        parent.die()
        assert isinstance(grandchild.channel.receive().message, Draining)


def test_a_parent_that_waited_too_long(site: Site, parent: ScriptedParent) -> None:
    """A child that was stopped half-way may wake up when its parent serves on."""
    child = site.start(1)
    parent.pass_sockets()
    parent.channel.send(Refused("no DrainListeners came in 65 s"))
    parent.channel.close()
    assert child.wait_gone() == 1
    assert "the parent refuses: no DrainListeners came in 65 s" in child.log[-1]


def test_a_parent_that_dies_and_leaves_all_to_its_own(site: Site) -> None:
    """A grandchild must not take the death of the one for that of both."""
    parent = site.serve()
    with Unfinished(parent.ports["web"]):
        with ScriptedChild(site) as child:
            child.take_over()
            grandchild = site.start("auto")
            control = child.sockets[[each.listener for each in child.passed].index("control")]
            control.setblocking(True)
            accepted, _ = control.accept()
            accepted.close()
        assert grandchild.wait_gone() == 1
        assert "--base-id 0" in grandchild.log[-1]
        assert get(parent.ports["web"]) == "one"


def test_a_stopped_parent(site: Site) -> None:
    """A30: SIGSTOP and SIGCONT."""
    site.configure(web(), hot_restart={"parent_silent": {"after": "0.5s"}})
    parent = site.serve()
    freeze(parent)
    child = site.start(1)
    assert child.wait_gone() == 1
    assert SILENT in child.log[-1]
    for pid in [parent.pid, *parent.workers.values()]:
        os.kill(pid, signal.SIGCONT)
    assert get(parent.ports["web"]) == "one"
    site.serve(1)
    assert parent.wait_gone() == 0


def test_a_parent_killed_before_the_child_is_ready(site: Site) -> None:
    """A29, A39: it had passed its sockets; a Unix listener is among them, another is not kept."""
    path = f"unix:{site.directory}/"
    with Gate(site) as gate:
        site.configure(web(), web(address=path + "a", name="a"), web(address=path + "b", name="b"))
        parent = site.serve()
        filters = gate.filters
        site.configure(
            web("two", http_filters=filters), web("two", path + "a", "a", http_filters=filters)
        )
        child = site.start(1)
        gate.wait_reached()
        parent.signal(signal.SIGKILL)
        parent.wait_gone()
        with asking(parent.ports["web"]) as client:
            gate.open()
            assert b"two" in client.recv(1000)
    child.wait_serving()
    check_serves(site, child)
    child.signal(signal.SIGTERM)
    assert child.wait_gone() == 0
    assert site.left() == set()


def test_a_parent_killed_while_it_drains(site: Site) -> None:
    """A29, A39, A81: what is in flight in its workers ends well; no file and no figure is left."""
    site.configure(web(), web(address=f"unix:{site.directory}/b", name="b"))
    parent = site.serve()
    site.configure(web("two"))
    with Unfinished(parent.ports["web"]) as unfinished:
        child = site.serve(1)
        admin = child.ports["admin"]
        wait_for_gauge(admin, "server.parent_connections", 1)
        parent.signal(signal.SIGKILL)
        child.wait_for("the parent is gone")
        assert unfinished.finish() == "one"
    parent.wait_gone()
    wait_for_gauge(admin, "server.total_connections", 0)
    check_serves(site, child)
    site.serve(2)
    assert child.wait_gone() == 0
    site.instances[-1].signal(signal.SIGTERM)
    assert site.instances[-1].wait_gone() == 0
    assert site.left() == set()
