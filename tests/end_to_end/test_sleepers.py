"""Idle keep-alive connections that have to leave: none is closed on a request."""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest
from instances import PATIENCE
from sites import a_site, get, post, web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from instances import Instance
    from sites import Site

CLOSE = 2.0  # seconds after which idle ones are closed
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        site.configure(web(), drain={"hand_over": False, "notice": "2s", "idle": "2s"})
        yield site


def test_a_request_that_meets_the_close_is_answered(site: Site) -> None:
    """A63: it had arrived when the close was due, and both are seen at the same moment."""
    parent = site.serve()
    sleepers = [asleep(parent.ports["web"]) for _ in range(16)]
    site.configure(web("two"))
    wait_until_told(site.serve(1))
    for pid in parent.workers.values():
        os.kill(pid, signal.SIGSTOP)
    time.sleep(CLOSE)
    for sleeper in sleepers:
        sleeper.sendall(REQUEST)
    for pid in parent.workers.values():
        os.kill(pid, signal.SIGCONT)
    for sleeper in sleepers:
        answer = hear(sleeper)
        assert answer.endswith(b"one")
        assert b"\r\nconnection: close\r\n" in answer
        sleeper.close()
    assert parent.wait_gone() == 0


def test_they_are_closed_one_after_the_other(site: Site) -> None:
    """A63: 40 that are told at once to leave at once take 2 s, whichever worker has them."""
    site.configure(web(), drain={"time": "0s", "strategy": "immediate", "max_per_second": 20})
    proxy = site.serve()
    sleepers = [asleep(proxy.ports["web"]) for _ in range(40)]
    assert post(proxy.ports["admin"], "/drain_listeners") == (200, "OK\n")
    ends = []
    with selectors.DefaultSelector() as selector:
        for sleeper in sleepers:
            selector.register(sleeper, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(PATIENCE):
                ends.append(time.monotonic())
                selector.unregister(key.fileobj)
    assert ends[-1] - ends[0] > 1.0
    for sleeper in sleepers:
        assert sleeper.recv(1) == b""
        sleeper.close()


def wait_until_told(child: Instance) -> None:
    """Wait until the parent's workers know that their connections are to leave."""
    give_up = time.monotonic() + PATIENCE
    while not re.search(r'"last": \d', get(child.ports["admin"], "/generations?format=json")):
        assert time.monotonic() < give_up


def asleep(port: int) -> socket.socket:
    """Return a connection on which something was asked and answered."""
    client = socket.create_connection(("127.0.0.1", port), PATIENCE)
    client.sendall(REQUEST)
    assert client.recv(1000).endswith(b"one")
    return client


def hear(client: socket.socket) -> bytes:
    """Return all that comes until the end; a reset raises ConnectionResetError."""
    heard = b""
    while data := client.recv(1000):
        heard += data
    return heard
