"""Generations of the real proxy at one place, and what their clients see."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING

from instances import PATIENCE, Instance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

ANY_PORT = "127.0.0.1:0"
GATE = """\
import os
import socket
from contextlib import suppress

class Gate:
    def __init__(self, name):
        self.name = name

    def prepare(self, tools):
        with suppress(ConnectionError), socket.socket(socket.AF_UNIX) as guard:
            guard.connect(chr(0) + self.name)
            guard.sendall(str(os.getpid()).encode())
            guard.recv(1)
        return self

    async def __call__(self, exchange, forward):
        await forward(exchange)
"""


def web(
    body: str = "one", address: str = ANY_PORT, name: str = "web", **more: object
) -> dict[str, object]:
    """A listener that answers every request with `body`."""
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": body}}
    manager = {"stat_prefix": "web", "request_headers_timeout": "60s", "routes": [answer]}
    manager |= {key: more.pop(key) for key in ("http_filters",) if key in more}
    filters = [{"http_connection_manager": manager}]
    return {"name": name, "address": address, "filters": filters} | more


class Site:
    """A directory with a configuration and a control socket; owns all generations started here."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "proxy.json"
        self.socket_path = str(directory / "control")
        self.instances: list[Instance] = []
        self.configure(web())

    @property
    def control(self) -> Path:
        """Where the generations meet."""
        return self.directory / "control_0"

    def configure(self, *listeners: object, **server: object) -> None:
        """Write the configuration of generations to come."""
        document = {"admin": {"address": ANY_PORT}, "listeners": listeners} | server
        self.config.write_text(json.dumps(document))

    def start(self, epoch: int | str = 0, *options: str, workers: int = 2) -> Instance:
        """Start a generation."""
        command = [sys.executable, "-m", "trioproxy", "-c", str(self.config)]
        command += ["--socket-path", self.socket_path]
        command += ["--restart-epoch", str(epoch), "--concurrency", str(workers), *options]
        self.instances.append(Instance(command))
        return self.instances[-1]

    def serve(self, epoch: int | str = 0, *options: str, workers: int = 2) -> Instance:
        """Start a generation and wait until it serves."""
        instance = self.start(epoch, *options, workers=workers)
        instance.wait_serving()
        return instance

    def left(self) -> set[str]:
        """Return the sockets that are here."""
        return {entry.name for entry in self.directory.iterdir() if entry.is_socket()}

    def close(self) -> None:
        """Leave no process behind."""
        for instance in self.instances:
            instance.kill_all()


class Gate:
    """A filter that holds each worker up, while it starts, until the test lets it pass."""

    def __init__(self, site: Site) -> None:
        (site.directory / "gate.py").write_text(GATE)
        self._name = f"{site.directory}/gate"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.bind(f"\0{self._name}")
        self._socket.listen()
        self._held: list[socket.socket] = []

    @property
    def filters(self) -> list[object]:
        """What to have as `http_filters`."""
        return [{"python": {"filter": "gate:Gate", "config": {"name": self._name}}}, {"router": {}}]

    def wait_reached(self) -> int:
        """Wait until one more worker is there; returns its pid."""
        held, _ = self._socket.accept()
        self._held.append(held)
        return int(held.recv(100))

    def open(self) -> None:
        """Let everybody pass."""
        self._socket.close()
        for held in self._held:
            held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.open()


@contextmanager
def a_site(directory: Path) -> Iterator[Site]:
    """A place for generations, of whom none is left at the end."""
    site = Site(directory)
    try:
        yield site
    finally:
        site.close()


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def ask(port: int, path: str = "/", method: str = "GET") -> tuple[int, str]:
    """Ask for a page on a new connection; returns the status and what it says."""
    client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.request(method, path)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


def post(port: int, path: str) -> tuple[int, str]:
    """Command; returns the status and what is said to it."""
    return ask(port, path, "POST")


def get(port: int, path: str = "/") -> str:
    """Ask for a page on a new connection; returns what it says."""
    return ask(port, path)[1]


def wait_for_gauge(admin: int, name: str, value: int) -> None:
    """Wait until a gauge stands at `value`: a client's end is noticed a moment later."""
    give_up = time.monotonic() + PATIENCE
    while (answer := get(admin, f"/stats?filter=^{name}$")) != f"{name}: {value}\n":
        assert time.monotonic() < give_up, answer
        time.sleep(0.01)


class Unfinished:
    """A connection with half of its second request on it: it keeps a generation from leaving."""

    def __init__(self, port: int) -> None:
        self._client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._client.request("GET", "/")
        assert self._client.getresponse().read()
        self._client.sock.sendall(b"GET / HTTP/1.1\r\n")

    def finish(self) -> str:
        """Send the rest; returns the answer, which is empty where there is none."""
        with suppress(ConnectionError), HTTPResponse(self._client.sock) as response:
            self._client.sock.sendall(b"Host: x\r\n\r\n")
            response.begin()
            return response.read().decode()
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self._client.close()


class Visitor(threading.Thread):
    """Asks for a page again and again, each time on a new connection."""

    def __init__(self, port: int, path: str = "/") -> None:
        super().__init__(daemon=True)
        self.failures: list[object] = []
        self.seen: dict[str, int] = {}
        self.longest = 0.0  # seconds until an answer was there
        self._port = port
        self._path = path
        self._came = threading.Event()
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.is_set():
            began = time.monotonic()
            try:
                body = get(self._port, self._path)
            except (OSError, HTTPException) as error:
                self.failures.append(error)
            else:
                self.seen[body] = self.seen.get(body, 0) + 1
            self.longest = max(self.longest, time.monotonic() - began)
            self._came.set()

    def wait_seen(self, body: str) -> None:
        """Wait until it has seen `body`."""
        while body not in self.seen:
            assert self._came.wait(PATIENCE)
            self._came.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Come no more."""
        self._enough.set()
        self.join()


def freeze(instance: Instance) -> None:
    """Stop every process that could do something."""
    for pid in [instance.pid, *instance.workers.values()]:
        os.kill(pid, signal.SIGSTOP)
