"""Drains and failed health that an operator asks a real proxy for, and what undoes them."""

from __future__ import annotations

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest
from conftest import PATIENCE
from scripted import ScriptedChild
from sites import Unfinished, a_site, ask, get, post, web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Instance
    from sites import Site

ENOUGH = 32  # connections that reach every worker, but for one time in 2 ** 31
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HEALTH = [{"health_check": {"path": "/healthz"}}, {"router": {}}]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A listener at a port, one at a path, all the time in the world; connections stay."""
    with a_site(tmp_path) as site:
        configure(site)
        yield site


def configure(site: Site, time: str = "600s") -> None:
    path = web("one", f"unix:{site.directory}/unix", "unix")
    site.configure(web(http_filters=HEALTH), path, drain={"time": time, "hand_over": False})


def drain(proxy: Instance, query: str = "") -> None:
    assert post(proxy.ports["admin"], f"/drain_listeners{query}") == (200, "OK\n")


def cancel(proxy: Instance) -> tuple[int, str]:
    return post(proxy.ports["admin"], "/drain?cancel")


def lets_in(site: Site, port: int) -> bool:
    """Say whether new connections are answered at both listeners, by every worker, or by none."""
    answers = {answered(port) for _ in range(ENOUGH)} | {queues(f"{site.directory}/unix")}
    (answer,) = answers
    return answer


def answered(port: int) -> bool:
    try:
        return get(port) == "one"
    except ConnectionRefusedError:
        return False


def queues(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


def test_closed_and_opened_again(site: Site) -> None:
    """A69: who is served does not notice, and the state stays what it was."""
    proxy = site.serve()
    web, admin = proxy.ports["web"], proxy.ports["admin"]
    for _ in range(2):
        with Unfinished(web) as unfinished:
            drain(proxy)
            drain(proxy)
            assert not lets_in(site, web)
            assert ask(admin, "/ready") == (200, "LIVE\n")
            assert "epoch 0 serving, closed by request\n" in get(admin, "/generations")
            assert unfinished.finish() == "one"
        assert cancel(proxy) == (200, "OK\n")
        assert lets_in(site, web)
    assert "epoch 0 serving\n" in get(admin, "/generations")


def test_nobody_who_waits_is_reset(site: Site) -> None:
    """A69: whoever came before the listeners were closed is let in and answered."""
    proxy = site.serve()
    stop(proxy)
    clients = [begin(proxy.ports["web"]) for _ in range(ENOUGH)]
    with ThreadPoolExecutor() as others:
        draining = others.submit(drain, proxy)
        while (site.directory / "unix").exists():
            pass
        resume(proxy)
        draining.result()
    assert [finish(client) for client in clients] == ["one"] * ENOUGH


def test_nobody_who_waits_is_reset_by_who_leaves(site: Site) -> None:
    """A70."""
    proxy = site.serve()
    stop(proxy)
    clients = [begin(proxy.ports["web"]) for _ in range(ENOUGH)]
    proxy.signal(signal.SIGTERM)
    proxy.wait_for("leaving: SIGTERM")
    resume(proxy)
    assert [finish(client) for client in clients] == ["one"] * ENOUGH
    assert proxy.wait_gone() == 0


def stop(proxy: Instance) -> None:
    """Have the workers do nothing until `resume`."""
    for pid in proxy.workers.values():
        os.kill(pid, signal.SIGSTOP)


def resume(proxy: Instance) -> None:
    for pid in proxy.workers.values():
        os.kill(pid, signal.SIGCONT)


def begin(port: int) -> socket.socket:
    """Ask for a page that nobody may have been there to give."""
    client = socket.create_connection(("127.0.0.1", port), PATIENCE)
    client.sendall(REQUEST)
    return client


def finish(client: socket.socket) -> str:
    """Return what the page says."""
    with client:
        return b"".join(iter(partial(client.recv, 1000), b"")).decode().rpartition("\r\n\r\n")[2]


def test_a_drain_asks_who_is_there_and_who_comes(site: Site) -> None:
    """A60, A69: with no time at all, each response says so; nothing is closed."""
    configure(site, "0s")
    proxy = site.serve()
    port = proxy.ports["web"]
    for _ in range(2):
        assert not asked_to_leave(port)
        drain(proxy, "?graceful&skip_exit")
        assert asked_to_leave(port)
        assert lets_in(site, port)
        assert cancel(proxy) == (200, "OK\n")


def asked_to_leave(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return b"\r\nconnection: close\r\n" in client.recv(1000)


def test_closed_when_the_drain_time_is_over(site: Site) -> None:
    """A69."""
    configure(site, "1s")
    proxy = site.serve()
    drain(proxy, "?graceful")
    assert lets_in(site, proxy.ports["web"])
    proxy.wait_for("listeners refuse connections")
    assert not lets_in(site, proxy.ports["web"])


def test_a_worker_that_is_replaced_is_where_the_others_are(site: Site) -> None:
    proxy = site.serve()
    drain(proxy)
    os.kill(proxy.workers[0], signal.SIGKILL)
    proxy.wait_for("killed by SIGKILL")
    proxy.wait_for("is ready")
    assert not lets_in(site, proxy.ports["web"])
    cancel(proxy)
    assert lets_in(site, proxy.ports["web"])


def test_a_next_generation_begins_open_and_healthy(site: Site) -> None:
    """A68, A69: as in Envoy, what was asked of the old one is not asked of the new one."""
    parent = site.serve()
    with Unfinished(parent.ports["web"]):  # so that there is somebody to wait for
        drain(parent)
        assert post(parent.ports["admin"], "/healthcheck/fail") == (200, "OK\n")
        site.serve(1)
        assert lets_in(site, parent.ports["web"])
        assert ask(parent.ports["admin"], "/ready") == (200, "LIVE\n")
        assert ask(parent.ports["web"], "/healthz")[0] == 200


def test_an_abstract_listener_is_open_in_the_next_generation(site: Site) -> None:
    """A69: who comes while it is closed waits, and is answered by who opens it."""
    name = f"@{site.directory}/web"
    site.configure(web(), web("one", f"unix:{name}", "abstract"), drain={"hand_over": False})
    parent = site.serve()
    with Unfinished(parent.ports["web"]) as unfinished:
        drain(parent)
        early = begin_at(name)
        site.serve(1)
        assert finish(early) == finish(begin_at(name)) == "one"
        assert unfinished.finish() == "one"


def test_an_abstract_listener_outlives_a_child_that_did_not_want_it(site: Site) -> None:
    """A28."""
    name = f"@{site.directory}/web"
    site.configure(web(), web("one", f"unix:{name}", "abstract"), drain={"hand_over": False})
    parent = site.serve()
    with Unfinished(parent.ports["web"]):  # so that there is somebody to wait for
        with ScriptedChild(site) as child:
            child.take_over("abstract")
            early = begin_at(name)
        parent.wait_for("the next generation died: serving as before")
        assert finish(early) == finish(begin_at(name)) == "one"


def begin_at(path: str) -> socket.socket:
    """Ask for the same at a Unix socket; `@` begins an abstract name."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(path.replace("@", "\0", 1))
    client.sendall(REQUEST)
    return client


def test_a_child_that_dies_leaves_it_as_it_was(site: Site) -> None:
    """A28: closed and ill."""
    parent = site.serve()
    web, admin = parent.ports["web"], parent.ports["admin"]
    with Unfinished(web):  # so that there is somebody to wait for
        drain(parent)
        assert post(admin, "/healthcheck/fail") == (200, "OK\n")
        with ScriptedChild(site) as child:
            child.take_over()
        parent.wait_for("the next generation died: serving as before")
        assert "1 of 1 left" in get(admin, "/generations")
        assert not lets_in(site, web)
        assert ask(admin, "/ready") == (503, "DRAINING\n")
        assert cancel(parent) == (200, "OK\n")
        assert lets_in(site, web)
        assert " left" not in get(admin, "/generations")
        assert {ask(web, "/healthz")[0] for _ in range(ENOUGH)} == {503}
        assert post(admin, "/healthcheck/ok") == (200, "OK\n")
        assert {ask(web, "/healthz")[0] for _ in range(ENOUGH)} == {200}


def test_a_child_that_was_drained_and_dies_leaves_a_parent_that_serves(site: Site) -> None:
    """A28: what the child has shut is open again."""
    parent = site.serve()
    with Unfinished(parent.ports["web"]) as unfinished:
        child = site.serve(1)
        drain(child)
        assert not lets_in(site, parent.ports["web"])
        child.kill_all()
        parent.wait_for("the next generation died: serving as before")
        assert lets_in(site, parent.ports["web"])
        assert unfinished.finish() == "one"


def test_who_leaves_does_not_come_back(site: Site) -> None:
    proxy = site.serve()
    with Unfinished(proxy.ports["web"]) as unfinished:
        drain(proxy)
        proxy.signal(signal.SIGTERM)
        proxy.wait_for("leaving: SIGTERM")
        assert cancel(proxy) == (409, "this instance is leaving\n")
        assert unfinished.finish() == "one"
    assert proxy.wait_gone() == 0
    assert not site.left()
