"""A hot restart that goes well: who is let in by whom, and what a new configuration changes."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from instances import PATIENCE
from scripted import ScriptedChild, ScriptedParent
from sites import Gate, Unfinished, Visitor, a_site, ask, free_port, get, web

from trioproxy.restart.protocol import Terminate, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Instance
    from sites import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        yield site


def test_nobody_notices(site: Site) -> None:
    """A20, A21, A22: with as many workers as before, with fewer, with more."""
    port = site.serve(workers=2).ports["web"]
    with Visitor(port) as one, Visitor(port) as another:
        for epoch, workers in enumerate([2, 1, 2], 1):
            site.configure(web(f"epoch {epoch}"))
            site.serve(epoch, workers=workers)
            assert site.instances[-2].wait_gone() == 0
        one.wait_seen("epoch 3")
    assert one.failures == another.failures == []
    assert one.seen.keys() == {"one", "epoch 1", "epoch 2", "epoch 3"}


def test_admin_never_refuses(site: Site) -> None:
    """A33, A36: it answers for who serves, and soon (250 ms, times 4)."""
    admin = site.serve().ports["admin"]
    with Visitor(admin, "/ready") as visitor:
        for epoch in (1, 2):
            site.serve(epoch)
            assert site.instances[-2].wait_gone() == 0
    assert visitor.failures == []
    assert visitor.seen.keys() == {"LIVE\n"}
    assert visitor.longest < 4 * 0.25


def test_a_cold_start_is_initialising_until_it_is_live(site: Site) -> None:
    """A33."""
    with Gate(site) as gate:
        site.configure(web(http_filters=gate.filters))
        instance = site.start()
        instance.wait_for("admin listens")
        gate.wait_reached()
        assert ask(instance.ports["admin"], "/ready") == (503, "INITIALIZING\n")
        gate.open()
        instance.wait_serving()
    assert ask(instance.ports["admin"], "/ready") == (200, "LIVE\n")


def test_a_unix_listener_keeps_its_file(site: Site) -> None:
    """A24: and gets the mode that is configured now."""
    path = site.directory / "unix"
    site.configure(web(address=f"unix:{path}", mode="600"))
    parent = site.serve()
    before = path.stat()
    site.configure(web("two", f"unix:{path}", mode="666"))
    child = site.serve(1)
    assert parent.wait_gone() == 0
    assert path.stat().st_ino == before.st_ino
    assert (before.st_mode & 0o777, path.stat().st_mode & 0o777) == (0o600, 0o666)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1000).endswith(b"two")
    child.signal(signal.SIGTERM)
    assert child.wait_gone() == 0
    assert site.left() == set()


def test_listeners_are_added_and_removed(site: Site) -> None:
    """A25: and come back, with the same port."""
    address, path = f"127.0.0.1:{free_port()}", site.directory / "unix"
    port = int(address.rpartition(":")[2])
    more = [web("fixed", address, "fixed"), web("unix", f"unix:{path}", "unix")]
    site.configure(web(), *more)
    parent = site.serve()
    with Unfinished(port) as unfinished:
        site.configure(web(), web("two", name="added"))
        child = site.serve(1)
        with pytest.raises(ConnectionRefusedError):
            get(port)
        assert not path.exists()
        # What is not wanted, the child keeps no hold of: who has a port, has it.
        assert len(sockets_of(parent) & sockets_of(child)) == len(
            ["control", "admin", "web", "web"]
        )
        assert get(child.ports["added"]) == "two"
        assert unfinished.finish() == "fixed"
    assert parent.wait_gone() == 0
    assert site.left() == {"control_0"}
    with socket.create_server(("127.0.0.1", port)):
        pass  # the port belongs to nobody now
    site.configure(web(), *more)
    grandchild = site.serve(2)
    assert child.wait_gone() == 0
    assert get(port) == "fixed"
    assert path.exists()
    with pytest.raises(ConnectionRefusedError):
        get(child.ports["added"])
    assert get(grandchild.ports["web"]) == "one"


def sockets_of(instance: Instance) -> set[str]:
    links = set[str]()
    for entry in Path(f"/proc/{instance.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            links.add(os.readlink(entry))
    return {link for link in links if link.startswith("socket:")}


@pytest.mark.parametrize("hosts", [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")])
def test_a_listener_keeps_its_port_on_another_address(site: Site, hosts: tuple[str, str]) -> None:
    port = free_port()
    before, after = (f"{host}:{port}" for host in hosts)
    site.configure(web(address=before))
    parent = site.serve()
    site.configure(web("two", after))
    with Unfinished(port) as unfinished:
        child = site.serve(1)
        assert get(port) == "two"
        child.signal(signal.SIGKILL)
        parent.wait_for("the next generation died: serving as before")
        child.wait_gone()
        assert get(port) == "one"
        assert unfinished.finish() == "one"
    site.serve(1)
    assert parent.wait_gone() == 0
    assert get(port) == "two"


def test_a_port_that_was_free_may_be_named_later(site: Site) -> None:
    """The child has the port of `127.0.0.1:0`; what asks for that port has the same socket."""
    port = site.serve().ports["web"]
    site.configure(web("two", f"127.0.0.1:{port}", "renamed"))
    site.serve(1)
    assert get(port) == "two"
    site.configure(web("three", name="renamed"), web("four", name="other"))
    child = site.serve(2)
    assert child.ports["other"] != child.ports["renamed"]
    assert get(child.ports["renamed"]) == "three"


def test_a_parent_ends_at_its_time(site: Site) -> None:
    """A34: 0.2 s, times 4."""
    with ScriptedParent(site) as parent:
        site.configure(web("two", f"127.0.0.1:{parent.port}"))
        site.start(1, "--parent-shutdown-time-s", "0.5")
        parent.give_way()
        began = time.monotonic()
        assert parent.hear(Terminate).seconds == 0
        assert 0.5 <= time.monotonic() - began < 0.5 + 4 * 0.2


def test_what_is_left_then_is_cut(site: Site) -> None:
    """A34: and the parent exits with 0."""
    parent = site.serve()
    with Unfinished(parent.ports["web"]) as unfinished:
        site.serve(1, "--parent-shutdown-time-s", "0.2")
        assert parent.wait_gone() == 0
        assert unfinished.finish() == ""


def test_a_parent_leaves_with_its_last_connection(site: Site) -> None:
    """A35: a page of admin is none; it said so once that it drains."""
    parent = site.serve()
    with ExitStack() as stack:
        page = socket.create_connection(("127.0.0.1", parent.ports["admin"]), PATIENCE)
        stack.enter_context(page)
        page.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in page.recv(1000)
        unfinished = stack.enter_context(Unfinished(parent.ports["web"]))
        site.serve(1)
        assert unfinished.finish() == "one"
        unfinished.close()
        assert parent.wait_gone() == 0
    assert sum("draining" in line for line in parent.log) == 1
    assert sum("leaving" in line for line in parent.log) == 1


def test_a_third_generation_waits_for_the_first(site: Site) -> None:
    """A31: until what is in flight there has ended."""
    first = site.serve()
    with Unfinished(first.ports["web"]) as unfinished:
        second = site.serve(1)
        third = site.start(2)
        first.wait_for("leaving: the next generation says so")
        assert unfinished.finish() == "one"
    assert first.wait_gone() == 0
    third.wait_serving()
    assert second.wait_gone() == 0


@pytest.mark.slow
def test_a_third_generation_does_not_wait_for_long(site: Site) -> None:
    """A31: for 10 s at most."""
    first = site.serve()
    with Unfinished(first.ports["web"]):
        second = site.serve(1)
        third = site.serve(2)
        assert first.wait_gone() == 0
        assert second.wait_gone() == 0
        assert get(third.ports["web"]) == "one"


def test_a_third_generation_that_dies_while_the_first_leaves(site: Site) -> None:
    """A28, A31: the second need not wait for that."""
    first = site.serve()
    with Unfinished(first.ports["web"]) as unfinished:
        second = site.serve(1)
        with ScriptedChild(site) as third:
            third.take_sockets()
            third.ask(third.drain(), Wait)
        second.wait_for("the next generation died: serving as before")
        with ScriptedChild(site) as third:
            assert third.greet().epoch == 1
        assert unfinished.finish() == "one"
    assert first.wait_gone() == 0
