"""Owns a foreign program: pinned to one core, measured with its children, ended by pid."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
END_GRACE = 3.0


class BenchError(Exception):
    """A program is missing, did not start, or answered wrongly: the run is not valid."""


@attrs.frozen
class Program:
    """A running program and everything that it started."""

    popen: subprocess.Popen[bytes]
    log: Path

    def tree(self) -> list[int]:
        """The pids of the program and its descendants, parents first."""
        pids = [self.popen.pid]
        for pid in pids:  # grows while it is walked
            pids += children_of(pid)
        return pids

    def cpu_seconds(self) -> float:
        """User and system time of the tree so far, ended and reaped children included."""
        return sum(map(cpu_ticks, self.tree())) / TICKS_PER_SECOND

    def memory(self) -> int:
        """Bytes of memory that the tree holds, shared pages counted in shares (PSS)."""
        return sum(map(proportional_memory, self.tree()))

    def tail(self, lines: int = 8) -> str:
        """The end of what the program printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def end(self) -> None:
        """Ask the program to end, then kill what is left of its tree."""
        with contextlib.ExitStack() as stack:
            handles = open_handles(self.tree(), stack)
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(END_GRACE)
            for handle in handles:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
        self.popen.wait()


@contextlib.contextmanager
def running(command: Sequence[object], core: int, directory: Path) -> Iterator[Program]:
    """Run `command` in `directory` on one core; its output goes to `output` there."""
    log = directory / "output"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *map(str, command)],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to pass on, in order
        )
    program = Program(popen, log)
    try:
        yield program
    finally:
        program.end()


def wait_until(
    program: Program, answers: Callable[[], bool], seconds: float, step: float = 0.002
) -> None:
    """Poll until `answers()` is true; raises BenchError when the program ends or time runs out."""
    end = time.monotonic() + seconds
    while not answers():
        if program.popen.poll() is not None:
            raise BenchError(f"ended with {program.popen.returncode}:\n{program.tail()}")
        if time.monotonic() > end:
            raise BenchError(f"no right answer within {seconds:g} s:\n{program.tail()}")
        time.sleep(step)


@contextlib.contextmanager
def handle_of(pid: int) -> Iterator[int]:
    """A pidfd: it never means another process that was given the same number."""
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def open_handles(pids: Sequence[int], stack: contextlib.ExitStack) -> list[int]:
    """A pidfd of each process that is not gone, closed with `stack`."""
    handles = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handles.append(stack.enter_context(handle_of(pid)))
    return handles


def children_of(pid: int) -> list[int]:
    """The pids of a process's children; nothing for a process that is gone."""
    pids: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            pids += map(int, children.read_text().split())
    return pids


def cpu_ticks(pid: int) -> int:
    """utime, stime, cutime and cstime of /proc/<pid>/stat; nothing for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def proportional_memory(pid: int) -> int:
    """The Pss line of /proc/<pid>/smaps_rollup in bytes; nothing for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
