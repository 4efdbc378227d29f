"""What an operator sees of two generations and of failed starts, and what ends a connection."""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from instances import PATIENCE
from programs import run
from scripted import ScriptedChild
from sites import Unfinished, a_site, get, post, web

from trioproxy.restart.protocol import Hello, Refused, Terminate
from trioproxy.stats.layout import LAYOUT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from instances import Instance
    from sites import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        yield site


def seen(proxy: Instance) -> dict[str, Any]:
    """Return what its admin interface knows of generations."""
    found: dict[str, Any] = json.loads(get(proxy.ports["admin"], "/generations?format=json"))
    return found


def starts(proxy: Instance) -> list[tuple[int, str]]:
    """Return the epoch of each start, and what became of it."""
    return [(each["epoch"], each["outcome"]) for each in seen(proxy)["history"]]


def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_each_start_is_remembered_by_all_that_follow(site: Site) -> None:
    """A72: those that failed, too, with the reason; who never said Hello is not among them."""
    first = site.serve()
    expected = [(0, "started")]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        site.configure(web(), web(address=address, name="other"))
        assert site.start(1).wait_gone() == 1
        expected += [(1, f"gave up: other: cannot bind {address}: Address already in use")]
    site.configure(web())
    with ScriptedChild(site) as child:
        child.ask(Terminate(), Refused)
    with ScriptedChild(site) as child:
        child.ask(Hello(7, 60.0, LAYOUT_VERSION), Refused)
        expected += [(1, "refused: epoch 7 cannot follow epoch 0")]
    with ScriptedChild(site) as child:
        child.take_sockets()
    first.wait_for("the next generation died: serving as before")
    with Unfinished(first.ports["web"]), ScriptedChild(site) as child:
        child.take_over()
        child.die()
        first.wait_for("the next generation died: serving as before")
    expected += [(1, "died before it was ready"), (1, "died after it had taken over")]
    until(lambda: starts(first) == expected)
    second = site.serve(1)
    expected += [(1, "took over")]
    assert starts(second) == expected
    third = site.serve(2)
    assert starts(third) == [*expected, (2, "took over")]
    times = [each["at"] for each in seen(third)["history"]]
    assert times == sorted(times)


def rows(proxy: Instance, epoch: int) -> list[dict[str, Any]]:
    """Return the connections that are told of one by one."""
    return [
        connection
        for generation in seen(proxy)["generations"]
        if generation["epoch"] == epoch
        for connection in generation["connections"]
    ]


def close(proxy: Instance, name: str) -> tuple[int, str]:
    return post(proxy.ports["admin"], f"/connections/close?id={name}")


def test_who_is_last_is_seen_and_closed(site: Site) -> None:
    """A72, A87: in the parent, by way of the child, which is alone then; and in the child."""
    parent = site.serve()
    with Unfinished(parent.ports["web"]) as last:
        child = site.serve(1)
        until(lambda: bool(rows(child, 0)))
        (row,) = rows(child, 0)
        assert row["words"].startswith(f"{row['peer']} at web, HTTP/1.1, for ")
        assert ": in an exchange, " in row["words"]
        assert f"  last: {row['peer']} at web" in get(child.ports["admin"], "/generations")
        assert close(child, row["id"]) == (200, "OK\n")
        assert parent.wait_gone() == 0
        assert last.finish() == ""
        child.wait_for("the parent is gone")
    with socket.create_connection(("127.0.0.1", child.ports["web"]), PATIENCE) as client:
        until(lambda: bool(rows(child, 1)))
        (row,) = rows(child, 1)
        assert close(child, row["id"]) == (200, "OK\n")
        assert client.recv(1) == b""
    assert close(child, "0.0.1") == (409, "connections of epoch 0 cannot be closed from here\n")


def test_a_terminal_shows_the_same(site: Site) -> None:
    """A72: `trioproxy status`, and `drain --wait` until nobody is left."""
    proxy = site.serve()
    trioproxy = [sys.executable, "-m", "trioproxy"]
    address = f"127.0.0.1:{proxy.ports['admin']}"
    with socket.create_connection(("127.0.0.1", proxy.ports["web"])) as client:
        until(lambda: bool(rows(proxy, 0)))
        assert run(*trioproxy, "drain", address) == ""
        status = run(*trioproxy, "status", address)
        assert re.search(r"^  1 of 1 left, next in .* min .* s$", status, re.MULTILINE)
        assert f"  last: 127.0.0.1:{client.getsockname()[1]} at web, HTTP/1.1, for " in status
        assert re.search(r"UTC  epoch 0 .* s  started\n$", status)
        assert close(proxy, rows(proxy, 0)[0]["id"]) == (200, "OK\n")
        assert client.recv(1) == b""
    assert run(*trioproxy, "drain", "--wait", address).endswith("drained\n")
