"""Idle keep-alive connections that have to leave: none is closed on a request."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest
from instances import PATIENCE
from sites import a_site, get, web

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
