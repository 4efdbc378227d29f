"""The restarter and the real proxy: what clients notice while generations come, fail and go."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from instances import PATIENCE, Instance

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
RESTARTER = ROOT / "scripts" / "hot_restarter.py"
ENVOYS = Path(__file__).with_name("envoy_restarter.py")
PROXY = (sys.executable, "-m", "trioproxy")
CONFIG = """\
listeners:
- name: web
  address: 127.0.0.1:{port}
  filters:
  - http_connection_manager:
      stat_prefix: web
      routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: {body}}}}}]
"""
ANOTHER = """\
- name: another
  address: 127.0.0.1:{port}
  filters: [{{tcp_proxy: {{stat_prefix: a, cluster: c}}}}]
clusters: [{{name: c, endpoints: [127.0.0.1:1]}}]
"""


class Service(Instance):
    """A restarter, all generations that it ever started, and the configuration of the next."""

    def __init__(self, path: Path, port: int, command: list[str]) -> None:
        self.config = path / "proxy.yaml"
        self.port = port
        self.write("one")
        super().__init__(command)

    def write(self, body: str, more: str = "") -> None:
        self.config.write_text(CONFIG.format(port=self.port, body=body) + more)

    def wait_epoch(self, epoch: int) -> int:
        """Wait until an epoch serves; returns its pid."""
        self.wait_for("serves, ready")
        while not (match := re.search(rf"epoch {epoch} \(pid (\d+)\) serves", self.log[-1])):
            self.wait_for("serves, ready")
        return int(match[1])

    def wait_said(self, text: str) -> None:
        """Wait until a line contains `text`, if none did."""
        if not any(text in line for line in self.log):
            self.wait_for(text)

    def children(self) -> list[int]:
        """Return the pids of the restarter's children."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in children.read_text().split()] if children.exists() else []

    def wait_left(self, count: int) -> None:
        """Wait until so many generations have left, and left well."""
        while len(re.findall(r"epoch \d+ \(pid \d+\) exited with 0", "\n".join(self.log))) < count:
            self.wait_for("exited with 0")

    def open(self, more: bytes = b"") -> socket.socket:
        """Open a connection that is kept alive, with `more` said after its first answer."""
        client = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        assert b"200" in request(client)
        client.sendall(more)
        return client

    def kill_all(self) -> None:
        named = re.findall(r"epoch \w+ \(pid (\d+)\)", "\n".join(self.log))
        for kill, pids in ((os.killpg, map(int, named)), (os.kill, self.children())):
            for pid in pids:
                with suppress(ProcessLookupError):
                    kill(pid, signal.SIGKILL)
        super().kill_all()


class Visitor(threading.Thread):
    """Comes again and again, each time on a new connection."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.failures: list[object] = []
        self.bodies: set[str] = set()
        self._enough = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._enough.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
                    head, _, body = request(client).partition(b"\r\n\r\n")
                if head.startswith(b"HTTP/1.1 200 "):
                    self.bodies.add(body.decode())
                else:
                    self.failures.append(head)
            except OSError as error:
                self.failures.append(error)

    def stop(self) -> None:
        """Come no more."""
        self._enough.set()
        self.join()

    def leave(self) -> set[str]:
        """Leave satisfied; returns what was seen."""
        self.stop()
        assert self.failures == []
        return self.bodies


def request(client: socket.socket) -> bytes:
    """Ask for a page; returns head and body, or less where the connection ends."""
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.partition(b"\r\n\r\n")[2]:
        data = client.recv(10_000)
        if not data:
            break
        answer += data
    return answer


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The proxy, on a control socket of its own."""
    paths = ["-c", str(tmp_path / "proxy.yaml"), "--socket-path", str(tmp_path / "control")]
    return [*PROXY, *paths, "--concurrency", "2"]


@pytest.fixture
def restarter(command: list[str]) -> list[str]:
    return [sys.executable, str(RESTARTER), "--", *command]


@pytest.fixture
def service(tmp_path: Path, restarter: list[str]) -> Iterator[Service]:
    """A restarter whose epoch 0 serves."""
    service = Service(tmp_path, free_port(), restarter)
    service.wait_epoch(0)
    yield service
    service.kill_all()


@pytest.fixture
def visitor(service: Service) -> Iterator[Visitor]:
    visitor = Visitor(service.port)
    yield visitor
    visitor.stop()


def test_a_sighup_brings_the_new_configuration(service: Service, visitor: Visitor) -> None:
    service.write("two")
    service.signal(signal.SIGHUP)
    service.wait_epoch(1)
    service.wait_left(1)  # the parent: there was nothing left in it
    with service.open() as client:
        assert b"two" in request(client)
    assert visitor.leave() == {"one", "two"}


@pytest.mark.parametrize("failure", ["not valid", "port taken", "killed"])
def test_a_child_that_fails_costs_nothing(service: Service, visitor: Visitor, failure: str) -> None:
    """A26, A28, A41: the old generation is kept, and the next restart works."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if failure == "not valid":
            service.write("two", "listener: []\n")
        if failure == "port taken":
            service.write("two", ANOTHER.format(port=taken.getsockname()[1]))
        service.signal(signal.SIGHUP)
        if failure == "killed":
            line = service.wait_for("is starting")
            os.kill(int(line.partition("(pid ")[2].partition(")")[0]), signal.SIGKILL)
        service.wait_for("is not valid" if failure == "not valid" else "before it was ready")
    service.write("three")
    service.signal(signal.SIGHUP)
    service.wait_epoch(1)
    with service.open() as client:
        assert b"three" in request(client)
    assert visitor.leave() == {"one", "three"}


def test_a_child_that_dies_after_it_took_over_gives_back(service: Service) -> None:
    """A28, A41: kill -9 after the drain began; the parent, which has not left, accepts again."""
    with service.open(b"GET / HTTP/1.1\r\nHost:") as held:
        service.signal(signal.SIGHUP)
        child = service.wait_epoch(1)
        os.kill(child, signal.SIGKILL)
        service.wait_for("serves again")
        held.sendall(b" x\r\n\r\n")
        assert b"200" in held.recv(10_000)
    visitor = Visitor(service.port)
    try:
        service.write("two")
        service.signal(signal.SIGHUP)
        service.wait_epoch(1)
        assert visitor.leave() >= {"one"}
    finally:
        visitor.stop()


def test_twenty_sighups_at_once(service: Service, visitor: Visitor) -> None:
    """One start at a time, one pending; at the end there is exactly one generation."""
    service.signal(signal.SIGHUP)
    service.wait_for("is starting")
    for _ in range(19):
        service.signal(signal.SIGHUP)
    service.wait_epoch(2)
    service.wait_left(2)
    assert len(service.children()) == 1
    assert visitor.leave() == {"one"}


def test_sigterm_ends_all(service: Service) -> None:
    """A70: and nothing is left behind (A39)."""
    service.signal(signal.SIGHUP)
    service.wait_epoch(1)
    service.signal(signal.SIGTERM)
    assert service.wait_gone() == 0
    assert sorted(file.name for file in service.config.parent.iterdir()) == ["proxy.yaml"]


def test_the_next_restarter_takes_over_from_what_a_killed_one_left(
    service: Service, visitor: Visitor, command: list[str]
) -> None:
    """A13: `auto` finds the running generation."""
    service.signal(signal.SIGKILL)
    again = [sys.executable, str(RESTARTER), "--restart-epoch", "auto", "--", *command]
    successor = Service(service.config.parent, service.port, again)
    try:
        successor.write("two")
        successor.wait_for("serves, ready")
        service.wait_for("terminated")
        successor.write("three")
        successor.signal(signal.SIGHUP)
        successor.wait_for("serves, ready")
        with successor.open() as client:
            assert b"three" in request(client)
        visitor.leave()
    finally:
        successor.kill_all()


def test_envoys_restarter_drives_it(tmp_path: Path, command: list[str]) -> None:
    """A14: by RESTART_EPOCH, through the script that the README shows."""
    (shown,) = re.findall(r"```sh\n( *#!.*?) *```", README.read_text(), re.DOTALL)
    script = tmp_path / "start"
    script.write_text(
        dedent(shown).replace("trioproxy -c /etc/trioproxy/proxy.yaml", " ".join(command))
    )
    script.chmod(0o755)
    service = Service(tmp_path, free_port(), [sys.executable, str(ENVOYS), str(script)])
    try:
        service.wait_for("epoch 0: serving")
        visitor = Visitor(service.port)
        service.write("two")
        service.signal(signal.SIGHUP)
        service.wait_said("epoch 1: serving")
        service.wait_said("epoch 0: terminated")
        with service.open() as client:
            assert b"two" in request(client)
        assert visitor.leave() == {"one", "two"}
        service.signal(signal.SIGTERM)
        assert service.wait_gone() == 0
    finally:
        service.kill_all()
