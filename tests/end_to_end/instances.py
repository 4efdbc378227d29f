"""Real processes: started, waited for by what they log, and never left behind."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 20.0  # seconds until a test is given up

AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Instance:
    """A main process with its zygote and workers; all of them log to one pipe.

    End of file on that pipe says that every one of them is gone.
    """

    def __init__(self, command: list[str], passed: socket.socket | None = None) -> None:
        """Start `command`, with a listen socket `passed` as systemd does it."""
        self.log: list[str] = []
        self.workers: dict[int, int] = {}
        self.ports: dict[str, int] = {}
        self._unread = b""
        fds = [passed.fileno()] if passed else []
        if passed:
            command = [sys.executable, "-c", AS_SYSTEMD, str(fds[0]), *command]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, pass_fds=fds)
        self.pid = self._process.pid

    def wait_for(self, text: str) -> str:
        """Read on until a line contains `text`; returns it."""
        for line in self._lines():
            if text in line:
                return line
        raise AssertionError(f"no {text!r} in\n" + "\n".join(self.log))

    def wait_serving(self) -> None:
        """Wait until it serves."""
        self.wait_for("serving")

    def wait_gone(self) -> int:
        """Wait until no process of it is left; returns the exit status of main."""
        for _ in self._lines():
            pass
        return self._process.wait(PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        """Send main a signal."""
        self._process.send_signal(number)

    @property
    def zygote(self) -> int:
        """The pid of the zygote: main's only child."""
        (pid,) = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(pid)

    def connect(self, listener: str = "web") -> socket.socket:
        """Connect to a listener."""
        return socket.create_connection(("127.0.0.1", self.ports[listener]), timeout=PATIENCE)

    def ask(self, line: str, listener: str = "web") -> str:
        """Say one line on a new connection and return the answer."""
        with self.connect(listener) as client:
            client.sendall(line.encode())
            return client.recv(1000).decode()

    def admin(self) -> dict[str, dict[str, dict[str, object]]]:
        """Return what admin says."""
        with self.connect("admin") as client:
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        loaded: dict[str, dict[str, dict[str, object]]] = json.loads(answer)
        return loaded

    def kill_all(self) -> None:
        """Leave nothing behind, whatever the test did."""
        with suppress(FileNotFoundError, ValueError):
            os.kill(self.zygote, signal.SIGKILL)
        for pid in self.workers.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait(PATIENCE)
        assert self._process.stderr
        self._process.stderr.close()

    def _lines(self) -> Iterator[str]:
        assert self._process.stderr
        pipe = self._process.stderr.fileno()
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            while b"\n" in self._unread:
                line, self._unread = self._unread.split(b"\n", 1)
                yield self.note(line.decode())
            if select.select([pipe], [], [], 1)[0]:
                data = os.read(pipe, 65536)
                self._unread += data
                if not data:
                    return
        raise AssertionError("still waiting after\n" + "\n".join(self.log))

    def note(self, line: str) -> str:
        """Learn from a line of the log."""
        self.log.append(line)
        if ready := re.search(r"worker (\d+) \(pid (\d+)\) is ready", line):
            self.workers[int(ready[1])] = int(ready[2])
        if listens := re.search(r"([\w-]+) listens on .*:(\d+)$", line):
            self.ports[listens[1]] = int(listens[2])
        return line
