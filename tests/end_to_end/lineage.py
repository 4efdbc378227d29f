"""The generations of one instance, as it is told from its statistics."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from instances import PATIENCE, Instance
from sites import get

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sites import Visitor

PROXY = (sys.executable, "-m", "trioproxy")
CONFIG = """\
admin: {{address: 127.0.0.1:0}}
drain: {{time: 600s, parent_shutdown_time: 600s}}
hot_restart: {hot_restart}
listeners:
- name: web
  address: 127.0.0.1:0
  filters:
  - http_connection_manager:
      stat_prefix: web
      drain: {{hand_over: {hand_over}}}
      routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: here}}}}]
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
WEB = '{envoy_http_conn_manager_prefix="web"}'
REQUESTS = f"envoy_http_downstream_rq_total{WEB}"
TIMES = f"envoy_http_downstream_rq_time_count{WEB}"
ACTIVE = f"envoy_http_downstream_cx_active{WEB}"
SERVER = "envoy_server_{}{{}}"


class Generations:
    """The generations of one instance: they share a configuration and a control socket.

    Without `hand_over` connections stay where they are.
    """

    def __init__(
        self,
        directory: Path,
        hot_restart: str = "{}",
        *,
        hand_over: bool = False,
        socket_path: str = "",
        options: Sequence[str] = (),
    ) -> None:
        socket_path = socket_path or str(directory / "control")
        self.control = f"{socket_path}_0"
        self.all: list[Instance] = []
        self._clients: list[Client] = []
        config = CONFIG.format(hot_restart=hot_restart, hand_over=str(hand_over).lower())
        self.command = [
            *(*PROXY, "--config-yaml", config, "--concurrency", "2"),
            *("--socket-path", socket_path, "--restart-epoch", "auto", *options),
        ]

    start = Instance

    @property
    def web(self) -> int:
        """The port of the listener, which all generations have."""
        return self.all[0].ports["web"]

    @property
    def admin(self) -> int:
        """The port of the admin interface."""
        return self.all[0].ports["admin"]

    def begin(self) -> Instance:
        """Begin the next generation."""
        self.all.append(self.start(self.command))
        return self.all[-1]

    def serve(self) -> Instance:
        """Begin the next generation and wait until it serves."""
        generation = self.begin()
        generation.wait_serving()
        return generation

    def connect(self) -> Client:
        """Open a connection and use it once; who serves now has it."""
        client = Client(self.web)
        self._clients.append(client)
        assert client.ask()
        return client

    def gauge(self, name: str) -> float:
        """Return what a gauge stands at."""
        return self.scrape()[1][name]

    def counter(self, name: str) -> float:
        """Return what a counter, or the count of a histogram, stands at."""
        return self.scrape()[0][name]

    def scrape(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the statistics: counters and histograms, which never fall, and gauges."""
        growing, gauges = dict[str, float](), dict[str, float]()
        current = growing
        for line in get(self.admin, "/stats/prometheus").splitlines():
            if line.startswith("# TYPE"):
                current = gauges if line.endswith(" gauge") else growing
            else:
                name, _, value = line.rpartition(" ")
                current[name] = float(value)
        return growing, gauges

    def close(self) -> None:
        """Leave no process and no connection behind."""
        for generation in self.all:
            generation.kill_all()
        for client in self._clients:
            client.sock.close()


class Client:
    """A connection that is kept alive."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)

    def ask(self) -> bool:
        """Ask for the page; return whether it came whole."""
        self.sock.sendall(REQUEST)
        answer = b""
        while not answer.endswith(b"\r\n\r\nhere"):
            data = self.sock.recv(10_000)
            if not data:
                return False
            answer += data
        return True

    def is_open(self) -> bool:
        """Say whether the other end is still there."""
        readable, _, _ = select.select([self.sock], [], [], 0)
        return not readable


class Watcher(threading.Thread):
    """Looks at the statistics all the time; notes what fell, and what was not yet there.

    What a client of `visitor` has been answered is to be counted already.
    """

    def __init__(self, generations: Generations, visitor: Visitor) -> None:
        super().__init__(daemon=True)
        self.wrong: list[str] = []
        self.epochs: set[float] = set()
        self.missed = 0  # who was asked died over the answer
        self._generations = generations
        self._visitor = visitor
        self._enough = threading.Event()
        self._before: dict[str, float] = {}
        self.start()

    def run(self) -> None:
        while not self._enough.is_set():
            answered = self._visitor.seen.get("here", 0)
            try:
                growing, gauges = self._generations.scrape()
            except (OSError, HTTPException):
                self.missed += 1
                continue
            self.epochs.add(gauges[SERVER.format("hot_restart_epoch")])
            self._compare(growing, answered)

    def _compare(self, seen: dict[str, float], answered: int) -> None:
        self.wrong += [
            f"{name}: {value} after {self._before[name]}"
            for name, value in seen.items()
            if value < self._before.get(name, 0)
        ]
        if seen[REQUESTS] < answered:
            self.wrong.append(f"{seen[REQUESTS]} requests; {answered} were answered before")
        self._before = seen

    def leave(self) -> set[float]:
        """Look no more; returns the epochs that were seen; fails if anything was wrong."""
        self._enough.set()
        self.join()
        assert self.wrong == []
        return self.epochs


def kill(generation: Instance) -> None:
    """Kill -9 every process of a generation; returns when the kernel has buried them."""
    zygote = generation.zygote
    workers = Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()
    kill_pids([generation.pid, zygote, *map(int, workers)])


def kill_pids(pids: Iterable[int]) -> None:
    """Kill -9 processes; returns when the kernel has taken back what they had."""
    pidfds = [os.pidfd_open(pid) for pid in pids]
    for pidfd in pidfds:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    for pidfd in pidfds:
        assert select.select([pidfd], [], [], PATIENCE)[0]
        os.close(pidfd)
