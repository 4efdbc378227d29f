"""The access log under continuous traffic, while it is renamed and while a worker is killed."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from instances import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Instance, Running

YAML = """
listeners:
- name: web
  address: 127.0.0.1:0
  filters:
  - http_connection_manager:
      stat_prefix: web
      access_log: {path: access.log, format: "%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS%\\n"}
      routes: [{match: {prefix: /}, direct_response: {status: 204}}]
"""
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
LINE = re.compile(r"(/\d+/\d+/\d+) 204 -")
CLIENTS = 8


class Client(threading.Thread):
    """Asks for one path after the other, and comes again where its connection breaks.

    `connections` are the paths that were answered, by connection; the last path of a connection
    that broke may have been served without an answer.
    """

    def __init__(self, number: int, port: int) -> None:
        super().__init__()
        self.number = number
        self.port = port
        self.connections: list[list[str]] = []
        self.cut: list[str] = []
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            self.connections.append([])
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as sock:
                while not self.enough.is_set():
                    path = f"/{self.number}/{len(self.connections)}/{len(self.connections[-1])}"
                    if not self.ask(sock, path):
                        self.cut.append(path)
                        break
                    self.connections[-1].append(path)

    def ask(self, sock: socket.socket, path: str) -> bool:
        """Return whether there was an answer."""
        try:
            sock.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            return sock.recv(100) == ANSWER
        except ConnectionError:
            return False


@contextmanager
def traffic(port: int) -> Iterator[list[Client]]:
    """Have clients ask all the time."""
    clients = [Client(number, port) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.enough.set()
        for client in clients:
            client.join()


def answered(client: Client) -> list[str]:
    return [path for paths in client.connections for path in paths]


def wait_for_more(clients: list[Client], count: int = 500) -> None:
    """Wait until so many more requests have been answered."""
    wanted = sum(len(answered(client)) for client in clients) + count
    give_up = time.monotonic() + PATIENCE
    while sum(len(answered(client)) for client in clients) < wanted:
        assert time.monotonic() < give_up, "nobody answers any more"
        time.sleep(0.01)


def wait_until_all_left(path: Path, proxy: Instance) -> None:
    """Wait until no worker has the file open any more; nobody tells, so this looks."""
    give_up = time.monotonic() + PATIENCE
    while any(holds(pid, path) for pid in proxy.workers.values()):
        assert time.monotonic() < give_up, f"{path} is still open"
        time.sleep(0.01)


def holds(pid: int, path: Path) -> bool:
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            if fd.readlink() == path:
                return True
    return False


def rotate(path: Path, name: str, proxy: Instance) -> None:
    """Rename the log as logrotate does."""
    moved = path.with_name(name)
    path.rename(moved)
    proxy.signal(signal.SIGUSR1)
    wait_until_all_left(moved, proxy)


def logged(directory: Path) -> list[str]:
    """Return the paths in all logs; raises AssertionError for a line that is torn."""
    found = []
    for file in directory.glob("access.log*"):
        text = file.read_text()
        assert not text or text.endswith("\n")
        for line in text.splitlines():
            match = LINE.fullmatch(line)
            assert match, f"a torn line: {line!r}"
            found.append(match[1])
    return found


def test_renamed_under_traffic_no_line_is_lost_or_torn(running: Running, tmp_path: Path) -> None:
    """A71: SIGUSR1 after a rename, with two workers."""
    with running(YAML, tmp_path, workers=2) as proxy:
        with traffic(proxy.ports["web"]) as clients:
            for number in range(5):
                wait_for_more(clients)
                rotate(tmp_path / "access.log", f"access.log.{number}", proxy)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait_gone() == 0
    assert not any(client.cut for client in clients)
    assert sorted(logged(tmp_path)) == sorted(chain(*map(answered, clients)))
    assert len(list(tmp_path.glob("access.log*"))) == 6


def test_a_killed_worker_takes_only_its_own_last_lines_with_it(
    running: Running, tmp_path: Path
) -> None:
    """A71: what the others log is not touched, and who replaces it takes part in renames."""
    with running(YAML, tmp_path, workers=2) as proxy:
        with traffic(proxy.ports["web"]) as clients:
            rotate(tmp_path / "access.log", "access.log.0", proxy)
            wait_for_more(clients)
            os.kill(proxy.workers[0], signal.SIGKILL)
            proxy.wait_for("is ready")
            rotate(tmp_path / "access.log", "access.log.1", proxy)
            wait_for_more(clients)
            rotate(tmp_path / "access.log", "access.log.2", proxy)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait_gone() == 0
    lines = logged(tmp_path)
    found = set(lines)
    assert len(lines) == len(found)
    assert found <= {path for client in clients for path in [*answered(client), *client.cut]}
    assert any(client.cut for client in clients)
    for client in clients:
        *broken, last = client.connections
        assert found.issuperset(last)
        for paths in broken:
            kept = [path for path in paths if path in found]
            assert kept == paths[: len(kept)]
