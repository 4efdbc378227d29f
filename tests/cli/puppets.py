"""The restarter as a process, and the generations that it starts as puppets of the test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

PATIENCE = 20.0  # seconds until a test is given up
RESTARTER = Path(__file__).parents[2] / "scripts" / "hot_restarter.py"
PUPPET = (sys.executable, "-I", "-S", str(Path(__file__).with_name("puppet.py")))
SCRIPT = f'#!/bin/sh\nexec {" ".join(PUPPET)} from script "$RESTART_EPOCH"\n'


class Puppet:
    """A generation, or a look at a configuration, that does what the test tells it."""

    def __init__(self, strings: socket.socket) -> None:
        strings.settimeout(PATIENCE)
        self._strings = strings
        self._lines = strings.makefile()
        self._early: list[str] = []
        self.pid, self.session, self.arguments, self.environment = self._read()

    def _read(self) -> list:
        return json.loads(self._lines.readline())

    @property
    def epoch(self) -> str:
        return self.environment["RESTART_EPOCH"]

    @property
    def validates(self) -> bool:
        return self.arguments[-2:] == ["--mode", "validate"]

    def say(self, text: str) -> None:
        """Have it say something by sd_notify; it is said when this returns."""
        self._tell(f"say {text}")
        # A signal that answers what is said may be reported before the saying is.
        early = []
        while (word := self.next()) != "say":
            early.append(word)
        self._early += early

    def exit(self, code: int = 0) -> None:
        self._tell(f"exit {code}")
        self.wait_gone()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.wait_gone()

    def next(self) -> str:
        """Return what it reports next: the name of a signal that it got, or what it was told."""
        if self._early:
            return self._early.pop(0)
        (word,) = self._read()
        return word

    def has_nothing_to_report(self) -> bool:
        self._tell("ping")
        return self.next() == "ping"

    def wait_gone(self) -> None:
        """Wait until it is gone, whatever it still reports."""
        with suppress(ConnectionResetError):
            for _ in self._lines:
                pass

    def close(self) -> None:
        """Let go of its strings; it ends by itself."""
        self._lines.close()
        self._strings.close()

    def _tell(self, text: str) -> None:
        self._strings.sendall(f"{text}\n".encode())


class Stage:
    """One restarter, its log, the puppets in the order in which it started them, its manager."""

    def __init__(self, path: Path) -> None:
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path / "door"))
        self._door.listen(64)
        self._door.settimeout(PATIENCE)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(path / "manager"))
        self.manager.settimeout(PATIENCE)
        self._path = path
        self._puppets: list[Puppet] = []
        self.log: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def start(
        self,
        *options: str,
        command: tuple[str, ...] = (*PUPPET, "-c", "file"),
        wrapper: tuple[str, ...] = (),
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        names = {"PUPPETEER": "door", "NOTIFY_SOCKET": "manager"}
        self.process = subprocess.Popen(
            (*wrapper, sys.executable, str(RESTARTER), *options, "--", *command),
            env=os.environ | {name: str(self._path / file) for name, file in names.items()},
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
            text=True,
        )

    def script(self) -> str:
        """Write an executable that starts a puppet without being given arguments."""
        path = self._path / "start"
        path.write_text(SCRIPT)
        path.chmod(0o755)
        return str(path)

    def next(self) -> Puppet:
        """Wait for the next process that the restarter starts."""
        self._puppets.append(Puppet(self._door.accept()[0]))
        return self._puppets[-1]

    def serve(self) -> Puppet:
        """Wait for the next generation, its validation first if there is one; it is ready then."""
        puppet = self.next()
        if puppet.validates:
            puppet.exit(0)
            puppet = self.next()
        puppet.say("READY=1")
        self.wait_for(f"(pid {puppet.pid}) serves, ready")
        return puppet

    def nobody_waits(self) -> bool:
        """Whether no further process was started; to be asked when the restarter is gone."""
        self._door.setblocking(False)
        try:
            self._door.accept()
        except BlockingIOError:
            return True
        return False

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """Ask for the next epoch, and wait until that is understood."""
        self.signal(signal.SIGHUP)
        self.wait_for("SIGHUP")

    def wait_for(self, text: str) -> str:
        """Read the restarter's log until a line contains `text`; returns that line."""
        assert self.process
        assert self.process.stderr
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            if text in line:
                return self.log[-1]
        raise AssertionError(f"no {text!r} in\n" + "\n".join(self.log))

    def wait_gone(self) -> int:
        """Wait until the restarter is gone; returns its exit status."""
        assert self.process
        assert self.process.stderr
        self.log += self.process.stderr.read().splitlines()
        return self.process.wait(PATIENCE)

    def told_manager(self) -> dict[str, str]:
        """Return the next that the service manager is told."""
        lines = self.manager.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process:
            self.process.kill()
            self.process.wait(PATIENCE)
            assert self.process.stderr
        for puppet in self._puppets:
            puppet.close()
        self._door.close()
        self.manager.close()
        if self.process and self.process.stderr:
            self.process.stderr.close()
