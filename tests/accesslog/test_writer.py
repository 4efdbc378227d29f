from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from trioproxy.accesslog import writer
from trioproxy.accesslog.output import Outcome
from trioproxy.accesslog.writer import AccessLogs

if TYPE_CHECKING:
    from pathlib import Path


class Tally(Counter[Outcome]):
    """What became of lines."""

    def note(self, outcome: Outcome, number: int) -> None:
        self[outcome] += number

    @property
    def dropped(self) -> int:
        return self[Outcome.DROPPED]


@pytest.fixture
def tally() -> Tally:
    return Tally()


def lines(count: int) -> list[bytes]:
    return [b"line %d\n" % number for number in range(count)]


def test_lines_reach_the_file_in_order(tmp_path: Path, tally: Tally) -> None:
    with AccessLogs(tally.note) as logs:
        file = logs.open(str(tmp_path / "access.log"))
        for line in lines(1000):
            file.write(line)
        assert re.fullmatch(r"<LogFile .*/access.log \d+ bytes waiting>", repr(file))
    assert (tmp_path / "access.log").read_bytes() == b"".join(lines(1000))
    assert tally.dropped == 0


def test_a_line_wakes_a_thread_that_slept(tmp_path: Path, tally: Tally) -> None:
    os.mkfifo(tmp_path / "pipe")
    end = os.open(tmp_path / "pipe", os.O_RDWR)
    with open(end, "rb") as reader, AccessLogs(tally.note) as logs:
        file = logs.open(str(tmp_path / "pipe"))
        for line in lines(3):
            file.write(line)
            assert reader.readline() == line  # so the thread has nothing left to do


def test_loggers_that_name_one_path_share_its_file(tmp_path: Path, tally: Tally) -> None:
    with AccessLogs(tally.note) as logs:
        one, two = (logs.open(str(tmp_path / name)) for name in ("a", "b"))
        assert logs.open(str(tmp_path / "a")) is one
        assert two is not one


def test_reopening_loses_and_tears_no_line(tmp_path: Path, tally: Tally) -> None:
    """A71, for one process."""
    path = tmp_path / "access.log"
    with AccessLogs(tally.note) as logs:
        file = logs.open(str(path))
        for number, line in enumerate(lines(30_000)):
            file.write(line)
            if number % 10_000 == 5_000:
                path.rename(tmp_path / f"old.{number}")
                logs.reopen()
                while not path.exists():
                    pass
    parts = [*sorted(tmp_path.glob("old.*"), key=lambda old: int(old.suffix[1:])), path]
    assert len(parts) == 4
    assert b"".join(part.read_bytes() for part in parts) == b"".join(lines(30_000))
    assert tally.dropped == 0


def test_a_reader_that_stops_costs_lines_and_no_time(
    tmp_path: Path, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FLUSH", 0.01)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    before = set(threading.enumerate())
    with AccessLogs(tally.note, queue=1 << 20) as logs:
        file = logs.open(str(tmp_path / "pipe"))
        for _ in range(3000):
            file.write(b"x" * 999 + b"\n")
        over = tally.dropped
        assert 3000 - (1 << 20) // 1000 - 200 < over <= 3000 - (1 << 20) // 1000
    assert over + 900 < tally.dropped <= 3000
    os.close(reader)  # frees the thread
    for thread in set(threading.enumerate()) - before:
        thread.join()


def test_lines_lost_to_a_full_disk_are_counted(tally: Tally) -> None:
    with AccessLogs(tally.note) as logs:
        for line in lines(10):
            logs.open("/dev/full").write(line)
    assert tally.dropped == 10
    assert tally[Outcome.FAILED] == 1
    assert tally[Outcome.WRITTEN] == 0


def test_what_is_written_and_what_cannot_be_reopened_is_counted(
    tmp_path: Path, tally: Tally
) -> None:
    (tmp_path / "logs").mkdir()
    with AccessLogs(tally.note) as logs:
        logs.open(str(tmp_path / "logs" / "access.log")).write(b"line\n")
        (tmp_path / "logs").rename(tmp_path / "old")
        logs.reopen()
    assert tally == {Outcome.WRITTEN: 1, Outcome.NOT_REOPENED: 1}


def test_standard_streams_are_used_as_they_are(
    capfd: pytest.CaptureFixture[str], tally: Tally
) -> None:
    with AccessLogs(tally.note) as logs:
        logs.open("/dev/stdout").write(b"out\n")
        logs.open("/dev/stderr").write(b"err\n")
        logs.reopen()
    assert capfd.readouterr() == ("out\n", "err\n")
    assert os.fstat(1)
    assert os.fstat(2)


PROGRAM = """
import os, sys
from trioproxy.accesslog.output import Outcome
from trioproxy.accesslog.writer import AccessLogs

def count(outcome, number):
    if outcome is not Outcome.WRITTEN:
        os._exit(1)

with AccessLogs(count) as logs:
    file = logs.open(sys.argv[1])
    for number in range(5000):
        file.write(b"%s %d %s\\n" % (sys.argv[2].encode(), number, b"x" * 200))
"""


@pytest.mark.parametrize("path", ["access.log", "/dev/stdout"])
def test_processes_share_a_file_or_a_pipe_without_tearing_lines(tmp_path: Path, path: str) -> None:
    """A71, for several processes."""
    read, write = os.pipe()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / path) if path[0] != "/" else path]
    processes = [subprocess.Popen([*command, name], stdout=write) for name in "abc"]
    os.close(write)
    with open(read, "rb") as pipe:
        received = pipe.read()
    assert [process.wait() for process in processes] == [0, 0, 0]
    logged = received if path == "/dev/stdout" else (tmp_path / path).read_bytes()
    wanted = {b"%c %d %s" % (name, n, b"x" * 200) for name in b"abc" for n in range(5000)}
    assert len(logged.splitlines()) == len(wanted)
    assert set(logged.splitlines()) == wanted
