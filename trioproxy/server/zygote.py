"""The zygote: a process that has imported everything, runs no Trio, and forks the workers.

Main forks it before it starts Trio itself. A worker that it forks has nothing to import and shares
its memory pages. It stays single-threaded, so that a fork copies a process that is whole, and it
keeps no channel end but its own, so that EOF means that a peer is gone.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import attrs

from trioproxy.restart.channel import BlockingChannel, PeerGone, channel_pair
from trioproxy.server.limits import collect_rarely, keep_freed_memory
from trioproxy.server.messages import TO_ZYGOTE, Exited, Fork, Forked, NotForked, ReopenLogs

if TYPE_CHECKING:
    from trioproxy.server.log import ProcessLog
    from trioproxy.server.messages import ToZygote

log = logging.getLogger("trioproxy.zygote")

LEFT_TO_MAIN = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""What a terminal or a supervisor sends to the whole group; main alone decides what it means."""

Work: TypeAlias = Callable[[socket.socket], int]
"""A worker's life, from its channel end to its exit status."""


@attrs.frozen
class Seed:
    """What main has of a zygote: its pid and the other end of its channel."""

    pid: int
    end: socket.socket


def fork_zygote(
    work: Work, process_log: ProcessLog, *, strangers: Sequence[socket.socket] = ()
) -> Seed:
    """Fork the zygote; its workers will run `work`.

    `strangers` are open sockets that are main's alone. Call this before Trio runs and before any
    thread starts.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        log.warning("a module started a thread when it was imported; workers will not have it")
    ours, theirs = channel_pair()
    flush_output()
    gc.collect()
    gc.freeze()  # what is frozen here is never touched by a collector, so its pages stay shared
    pid = os.fork()
    if pid:
        theirs.close()
        return Seed(pid, ours)
    for stranger in [ours, *strangers]:
        stranger.close()
    zygote = Zygote(BlockingChannel(theirs, TO_ZYGOTE), work, process_log)
    exit_with(lambda: be_zygote(zygote))


def be_zygote(zygote: Zygote) -> int:
    """Live as the zygote until main is gone; returns the exit status."""
    name_process("zygote")
    keep_freed_memory()
    collect_rarely()
    for number in LEFT_TO_MAIN:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_MAIN)
    zygote.run()
    return 0


def exit_with(life: Callable[[], int]) -> NoReturn:
    """End a forked process with what `life` returns, without what its parent does at exit."""
    status = 1
    try:
        status = life()
    except BaseException:
        log.critical("died of", exc_info=True)
    finally:
        flush_output()
        os._exit(status)


def flush_output() -> None:
    """Write out what was printed, so that it is neither lost at an exit nor doubled by a fork."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()


def name_process(role: str) -> None:
    """Show `role` in ps and top; the kernel keeps 15 characters in all."""
    Path("/proc/self/comm").write_text(f"trioproxy:{role}")


class Zygote:
    """The loop: forks on demand, reaps and reports."""

    def __init__(
        self, channel: BlockingChannel[ToZygote], work: Work, process_log: ProcessLog
    ) -> None:
        self._channel = channel
        self._work = work
        self._process_log = process_log
        self._children: dict[int, int] = {}  # pidfd: pid
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)

    def run(self) -> None:
        """Serve main until it is gone."""
        while True:
            try:
                for fd, _ in self._poll.poll():
                    self._turn(fd)
            except PeerGone:
                return

    def _turn(self, fd: int) -> None:
        if fd in self._children:
            self._reap(fd)
            return
        received = self._channel.receive()
        match received.message:
            case Fork(worker=worker):
                self._fork(worker, received.fds[0])
            case ReopenLogs():
                self._process_log.reopen()

    def _fork(self, worker: int, end: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            os.close(end)
            self._channel.send(NotForked(worker, str(error)))
            return
        if pid == 0:
            exit_with(lambda: self._become(worker, end))
        os.close(end)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        self._channel.send(Forked(worker, pid), [pidfd])

    def _become(self, worker: int, end: int) -> int:
        self._channel.close()
        for pidfd in self._children:
            os.close(pidfd)
        name_process(f"w{worker}")
        return self._work(socket.socket(fileno=end))

    def _reap(self, pidfd: int) -> None:
        self._poll.unregister(pidfd)
        pid = self._children.pop(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        self._channel.send(Exited(pid, os.waitstatus_to_exitcode(status)))
