#!/usr/bin/env python3
"""The restarter: starts trioproxy, and at each SIGHUP its next epoch. One file, to be copied alone.

It needs nothing but Python's standard library. One rule above all: a restart never costs what
serves. A new generation that fails is reported and forgotten; the restarter ends when no
generation is left.

Signals only wake the one loop, in which everything is decided (`Restarter.turn`). Generations tell
how they stand as they would tell systemd (sd_notify), each in a mailbox of its own. They get no
PR_SET_PDEATHSIG: if the restarter is killed they serve on, and the next restarter's first
generation takes over from them if it is started with `--restart-epoch auto`.
"""

from __future__ import annotations

import argparse
import enum
import logging
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = logging.getLogger("restarter")

LOG_FORMAT = "[%(asctime)s.%(msecs)03d][%(process)d][%(levelname)s][%(name)s] %(message)s"
SIGNALS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
LONGEST_BACK_OFF = 30.0  # seconds
LONGEST_WAIT = 3600.0  # seconds; epoll takes no more than 24 days
LARGEST = 1e9  # seconds that are believed
CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
FIRST_PASSED_FD = 3
PASS_ON = 'export LISTEN_PID=$$; exec "$0" "$@"'  # before its exec nobody knows the pid


class Phase(enum.Enum):
    """Where a process that we started stands."""

    VALIDATING = "validating"
    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "leaving"


@dataclass(frozen=True)
class Settings:
    """What the command line says; times are in seconds."""

    command: tuple[str, ...]
    restart_epoch: str  # of the first: a number, or `auto`: each generation finds its parent itself
    ready_time_s: float
    stop_time_s: float
    kill_after_s: float

    @property
    def alone(self) -> bool:
        """Whether the command is one executable, which is started without arguments, as Envoy's."""
        return len(self.command) == 1

    def arguments(self, epoch: str, phase: Phase) -> tuple[str, ...]:
        """Return what to execute for a generation, or for a look at its configuration."""
        look = ("--mode", "validate") if phase is Phase.VALIDATING else ()
        return self.command if self.alone else (*self.command, "--restart-epoch", epoch, *look)


@dataclass(eq=False)
class Child:
    """A process that we started, what it said, and when it is to be killed."""

    process: subprocess.Popen[bytes]
    mailbox: socket.socket
    epoch: str
    phase: Phase
    due: float
    since: float = field(default_factory=time.monotonic)
    said: str = ""
    missed_reopening: bool = False

    def __str__(self) -> str:
        return f"epoch {self.epoch} (pid {self.process.pid})"

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; KILL goes to its whole group. Its pid is its own until we reap it."""
        send = os.killpg if number is signal.SIGKILL else os.kill
        try:
            send(self.process.pid, number)
        except OSError as error:
            log.error("cannot send %s to %s: %s", number.name, self, error.strerror)


class Restarter:
    """Owns the generations; the newest is the last of `children`."""

    def __init__(self, settings: Settings, manager: str) -> None:
        """`manager` is the address of the service manager's mailbox; empty: it has none."""
        self.settings = settings
        self.manager = f"\0{manager[1:]}" if manager.startswith("@") else manager
        self.selector = selectors.DefaultSelector()
        self.children: list[Child] = []
        self.wanted = False
        self.stopping = False
        self.failures = 0
        self.not_before = 0.0
        self.status = 0

    def run(self) -> int:
        """Keep generations until none is left; returns the exit status."""
        pipe = signals_as_bytes()
        self.selector.register(pipe, selectors.EVENT_READ, partial(self.obey, pipe))
        self.spawn(Phase.STARTING)
        while any(child.phase is not Phase.VALIDATING for child in self.children):
            self.turn()
        for child in self.children:
            child.signal(signal.SIGKILL)
        log.info("no generation is left: exit status %d", self.status)
        return self.status

    def turn(self) -> None:
        """Wait until something happens, and do all that is to be done about it."""
        for key, _ in self.selector.select(self.patience()):
            key.data()
        for pid, code in exited():
            for child in [child for child in self.children if child.process.pid == pid]:
                self.bury(child, code)
        for child in self.children:
            if child.due <= time.monotonic():
                self.kill(child)
        if self.wanted and not self.busy() and self.not_before <= time.monotonic():
            self.wanted = False
            self.spawn(Phase.STARTING if self.settings.alone else Phase.VALIDATING)

    def patience(self) -> float:
        """Return the seconds for which there is nothing to do unless something happens."""
        moments = [child.due for child in self.children]
        if self.wanted and not self.busy():
            moments.append(self.not_before)
        wait = min(moments, default=inf) - time.monotonic()
        return min(max(0.0, wait), LONGEST_WAIT)

    def busy(self) -> bool:
        """Whether a start is under way; there is one at a time."""
        return bool(self.those(Phase.VALIDATING, Phase.STARTING))

    def those(self, *phases: Phase) -> list[Child]:
        """Return the children that are in one of some phases."""
        return [child for child in self.children if child.phase in phases]

    def tell_manager(self, status: str, *lines: str) -> None:
        """Tell the service manager how we stand; that there is none costs nobody anything."""
        text = "\n".join([*lines, f"MAINPID={os.getpid()}", f"STATUS={status}"])
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1)
            sock.sendto(text.encode(), self.manager)

    # What signals ask for

    def obey(self, pipe: int) -> None:
        """Do what each signal means; of SIGCHLD it was enough to wake us."""
        for number in os.read(pipe, 65536):
            match number:
                case signal.SIGHUP:
                    self.want_next()
                case signal.SIGUSR1:
                    self.reopen_logs()
                case signal.SIGTERM | signal.SIGINT:
                    self.stop(signal.Signals(number).name)

    def want_next(self) -> None:
        """Note that a next epoch is wanted; however often that is said, one start waits at most."""
        if self.stopping or self.wanted:
            return
        self.wanted = True
        now = time.monotonic()
        usec = f"MONOTONIC_USEC={int(now * 1e6)}"
        self.tell_manager("starting the next epoch", "RELOADING=1", usec)
        if self.busy():
            log.info("SIGHUP: the next epoch follows when this start has ended")
        elif self.not_before > now:
            wait = self.not_before - now
            log.warning("SIGHUP: waits %.1f s after %d failures in a row", wait, self.failures)
        else:
            log.info("SIGHUP: next epoch")

    def reopen_logs(self) -> None:
        """Pass SIGUSR1 on, which would kill a process that is not yet prepared: there it waits."""
        log.info("SIGUSR1: all generations reopen their logs")
        for child in self.children:
            if child.phase in (Phase.SERVING, Phase.LEAVING):
                child.signal(signal.SIGUSR1)
            child.missed_reopening = child.phase is Phase.STARTING

    def stop(self, reason: str) -> None:
        """Tell all to leave, as often as we are told: they know what a second time means."""
        log.info("%s: all generations leave", reason)
        if not self.stopping:
            self.stopping, self.wanted, self.status = True, False, 0
            self.tell_manager(f"{reason}: leaving", "STOPPING=1")
        for child in self.children:
            child.due = min(child.due, time.monotonic() + self.settings.stop_time_s)
            child.phase = Phase.LEAVING if child.phase is Phase.SERVING else child.phase
            child.signal(signal.SIGTERM)

    # How a generation starts

    def spawn(self, phase: Phase) -> None:
        """Start a generation, or a look at its configuration, in a session of its own."""
        epoch = self.next_epoch()
        arguments = self.settings.arguments(epoch, phase)
        fds = () if self.children else passed_fds()
        mailbox = open_mailbox()
        address = f"@{mailbox.getsockname()[1:].decode()}"
        try:
            process = subprocess.Popen(
                ("/bin/sh", "-c", PASS_ON, *arguments) if fds else arguments,
                env=os.environ | {"RESTART_EPOCH": epoch, "NOTIFY_SOCKET": address},
                stdout=subprocess.DEVNULL if phase is Phase.VALIDATING else None,
                start_new_session=True,
                pass_fds=fds,
            )
        except OSError as error:
            mailbox.close()
            self.fail(f"cannot start {arguments[0]}: {error.strerror}")
            return
        due = time.monotonic() + self.settings.ready_time_s
        child = Child(process, mailbox, epoch, phase, due)
        self.children.append(child)
        self.selector.register(mailbox, selectors.EVENT_READ, partial(self.hear, child))
        log.info("%s is %s", child, phase.value)

    def next_epoch(self) -> str:
        """Return the epoch of the next generation; who fails leaves its number to the next."""
        if self.settings.restart_epoch == "auto":
            return "auto"
        epochs = [int(child.epoch) for child in self.those(Phase.SERVING, Phase.LEAVING)]
        return str(max(epochs) + 1) if epochs else self.settings.restart_epoch

    def hear(self, child: Child) -> None:
        """Take in what a child says."""
        for message in messages(child.mailbox):
            child.said = message.get("STATUS", child.said)
            if message.get("X_TRIOPROXY_EPOCH", "").isdecimal():
                child.epoch = message["X_TRIOPROXY_EPOCH"]
            if message.get("READY") == "1" and not self.stopping:
                self.welcome(child)
            if message.get("STOPPING") == "1" and child.phase is Phase.SERVING:
                child.phase = Phase.LEAVING
            if "X_TRIOPROXY_GONE_IN" in message and child.phase is Phase.LEAVING:
                with suppress(ValueError):
                    self.allow(child, seconds(message["X_TRIOPROXY_GONE_IN"]))

    def welcome(self, child: Child) -> None:
        """Let a child serve that is ready, in place of who served."""
        if child.phase is Phase.LEAVING:  # a parent that resumes, because its child died
            child.due = inf
            self.elect()
        elif child.phase is Phase.STARTING:
            for other in self.those(Phase.SERVING):
                other.phase = Phase.LEAVING
            child.phase, child.due = Phase.SERVING, inf
            self.failures, self.not_before, self.status = 0, 0.0, 0
            log.info("%s serves, ready after %.2f s", child, time.monotonic() - child.since)
            if child.missed_reopening:
                child.signal(signal.SIGUSR1)
            self.settle()

    def fail(self, reason: str) -> None:
        """Report a start that failed, and forget it."""
        self.failures += 1
        self.not_before = time.monotonic() + back_off(self.failures)
        if not self.those(Phase.SERVING, Phase.LEAVING):
            self.status = 1
        log.error("%s", reason)
        self.elect()
        self.settle(f"; {reason}")

    def settle(self, news: str = "") -> None:
        """Tell the service manager who serves, and when no start is under way or waits."""
        ready = () if self.busy() or self.wanted else ("READY=1",)
        for child in self.those(Phase.SERVING):
            self.tell_manager(f"{child} serves{news}", *ready)

    # How a generation ends

    def allow(self, child: Child, gone_in: float) -> None:
        """Let a child leave in its own time, and not much longer."""
        log.info("%s will be gone in %g s", child, gone_in)
        allowed = gone_in + self.settings.kill_after_s
        child.due = time.monotonic() + allowed
        if self.stopping:
            self.tell_manager("leaving", f"EXTEND_TIMEOUT_USEC={int(allowed * 1e6)}")

    def kill(self, child: Child) -> None:
        """Kill a child whose time is over."""
        child.due = inf
        said = f' (it said "{child.said}")' if child.said else ""
        log.error("%s is still %s%s: killed", child, child.phase.value, said)
        child.signal(signal.SIGKILL)

    def bury(self, child: Child, code: int) -> None:
        """Judge a child that is gone."""
        self.hear(child)  # its last words
        self.children.remove(child)
        self.selector.unregister(child.mailbox)
        child.mailbox.close()
        child.process.returncode = code
        if child.phase in (Phase.SERVING, Phase.LEAVING):
            self.miss(child, code)
        elif self.stopping:
            log.info("%s is gone", child)
        elif child.phase is Phase.STARTING:
            self.fail(f"{child} {describe(code)} before it was ready")
        elif code == 0:
            self.spawn(Phase.STARTING)
        else:
            self.fail(f"{child}: the configuration is not valid, nothing is started")

    def miss(self, child: Child, code: int) -> None:
        """Judge the end of a generation that served."""
        log.log(logging.ERROR if code else logging.INFO, "%s %s", child, describe(code))
        if code and not self.those(Phase.SERVING):
            self.status = 1
        if not self.stopping:
            self.elect()
            self.settle(f"; {child} {describe(code)}" if code else "")

    def elect(self) -> None:
        """Where nobody serves, the newest that was to leave does: a parent outlives its child."""
        leaving = self.those(Phase.LEAVING)
        if leaving and not self.those(Phase.SERVING):
            heir = leaving[-1]
            heir.phase, heir.due = Phase.SERVING, inf
            log.warning("%s serves again", heir)


def signals_as_bytes() -> int:
    """Have each signal written as a byte, and nothing else done; returns where to read them."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    return reader


def exited() -> Iterator[tuple[int, int]]:
    """Reap who is gone, with the exit code; strangers too, whom a container gives to its first."""
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield found[0], os.waitstatus_to_exitcode(found[1])


def describe(code: int) -> str:
    """Say in words how a process ended."""
    return f"was killed by signal {-code}" if code < 0 else f"exited with {code}"


def open_mailbox() -> socket.socket:
    """Return a socket for sd_notify, by an abstract name that the kernel chose and cleans up."""
    mailbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    mailbox.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    mailbox.bind("")
    return mailbox


def messages(mailbox: socket.socket) -> Iterator[dict[str, str]]:
    """Read what was said; anybody may write to an abstract name, we listen to our own and root."""
    with suppress(BlockingIOError):
        for _ in range(64):
            text, ancillary, *_ = mailbox.recvmsg(4096, socket.CMSG_SPACE(CREDENTIALS.size))
            _, uid, _ = CREDENTIALS.unpack(ancillary[0][2])
            if uid in (0, os.getuid()):
                lines = text.decode(errors="replace").splitlines()
                yield dict(line.split("=", 1) for line in lines if "=" in line)


def passed_fds() -> Sequence[int]:
    """Return the sockets that systemd passed to us, for our first generation."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return ()
    return range(FIRST_PASSED_FD, FIRST_PASSED_FD + int(os.environ["LISTEN_FDS"]))


def back_off(failures: int) -> float:
    """Return the seconds to wait after failures in a row; a single one is free."""
    return 0.0 if failures < 2 else min(2.0 ** min(failures - 2, 10), LONGEST_BACK_OFF)


def seconds(text: str) -> float:
    """Read a time; raises ValueError."""
    if not 0 <= float(text) <= LARGEST:
        raise ValueError(text)
    return float(text)


def epoch(text: str) -> str:
    """Read the epoch of the first generation; raises ValueError."""
    return text if text == "auto" else str(int(text))


def parse(arguments: Sequence[str] | None) -> Settings:
    """Read the command line; exits 2 where it cannot be followed."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s [options] -- trioproxy -c FILE [option ...]\n"
        "       %(prog)s [options] EXECUTABLE",
        description="Start trioproxy, and at each SIGHUP its next epoch, which takes over.",
        epilog="An EXECUTABLE alone is started without arguments and finds RESTART_EPOCH in its"
        " environment. Others get --restart-epoch, and --mode validate before a restart.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    option = partial(parser.add_argument, metavar="S", type=seconds)
    option("--restart-epoch", type=epoch, default="0", metavar="N", help="first epoch, or auto")
    option("--ready-time-s", default=90.0, help="seconds in which a generation must be ready")
    option("--stop-time-s", default=30.0, help="seconds to leave in, where none are announced")
    option("--kill-after-s", default=5.0, help="seconds past the announced end, then SIGKILL")
    parser.add_argument("command", nargs="+", help=argparse.SUPPRESS)
    given = vars(parser.parse_args(arguments))
    return Settings(**given | {"command": tuple(given["command"])})


def main(arguments: Sequence[str] | None = None) -> int:
    """Be the restarter; returns the exit status."""
    settings = parse(arguments)
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        logging.addLevelName(level, logging.getLevelName(level).lower())
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, datefmt="%Y-%m-%d %H:%M:%S")
    return Restarter(settings, os.environ.get("NOTIFY_SOCKET", "")).run()


if __name__ == "__main__":
    sys.exit(main())
