"""The process log: patterns, levels, whole lines, reopening."""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING

import pytest

from trioproxy.server.log import ProcessLog, fold, open_log, set_level

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger("trioproxy.test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    """Put levels back as they were."""
    loggers = [logging.getLogger(name) for name in ("trioproxy", "trioproxy.test")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def test_a_line_looks_as_envoys_does(path: Path) -> None:
    with open_log(path=path):
        log.warning("port %d", 80)
    when = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\]"
    assert re.fullmatch(rf"{when}\[{os.getpid()}\]\[warning\]\[test\] port 80\n", path.read_text())


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("%v", "said"),
        ("%l|%L|%n", "error|E|test"),
        ("100%% %v %", "100% said %"),
        ("%P %Q", f"{os.getpid()} %Q"),
        ("%s:%!", "test_log.py:test_patterns_are_those_of_spdlog"),
        ("", ""),
    ],
)
def test_patterns_are_those_of_spdlog(path: Path, pattern: str, line: str) -> None:
    with open_log(path=path, pattern=pattern or " "):
        log.error("said")
    assert path.read_text().strip() == line


def test_json_patterns_hold_any_message(path: Path) -> None:
    with open_log(path=path, pattern='{"message": "%j"}'):
        log.error('a "quoted"\nmessage')
    assert path.read_text() == '{"message": "a \\"quoted\\"\\\\nmessage"}\n'


def test_an_event_is_one_line_even_with_an_exception(path: Path) -> None:
    with open_log(path=path, pattern="%v"):
        try:
            raise ValueError("two\nlines")
        except ValueError:
            log.exception("caught")
    assert re.fullmatch(
        r"caught: ValueError: two\\nlines \(test_log\.py:\d+ in test_an_event_\w+\)\n",
        path.read_text(),
    )


def test_groups_are_folded_to_what_is_in_them() -> None:
    group = ExceptionGroup("outer", [ValueError("one"), ExceptionGroup("in", [KeyError("two")])])
    assert fold(group) == "ValueError: one (); KeyError: 'two' ()"


def test_components_have_levels_of_their_own(path: Path) -> None:
    with open_log("error", {"test": "trace"}, path, "%n %l %v"):
        log.log(5, "fine")
        logging.getLogger("trioproxy.other").warning("not shown")
        set_level("off", "test")
        log.critical("not shown")
    assert path.read_text() == "test trace fine\n"


def test_every_level_of_envoy_is_known(path: Path) -> None:
    with open_log(path=path):
        for level in ["trace", "debug", "info", "warning", "warn", "error", "critical", "off"]:
            set_level(level)
            set_level(level, "test")
        with pytest.raises(KeyError):
            set_level("loud")


def test_reopening_goes_on_under_the_old_name_with_the_same_descriptor(path: Path) -> None:
    with open_log(path=path, pattern="%v") as process_log:
        log.error("before")
        moved, fd = path.rename(path.with_name("moved")), process_log.fd
        log.error("still there")
        process_log.reopen()
        assert process_log.fd == fd
        assert not os.get_inheritable(fd)
        log.error("after")
    assert moved.read_text() == "before\nstill there\n"
    assert path.read_text() == "after\n"


def test_where_reopening_fails_the_old_file_is_written_on(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "log"
    path.parent.mkdir()
    with open_log(path=path, pattern="%v") as process_log:
        moved = path.parent.rename(tmp_path / "moved") / "log"
        process_log.reopen()
    assert moved.read_text() == f"cannot reopen {path}: No such file or directory\n"


def test_stderr_is_never_reopened_nor_closed(capfd: pytest.CaptureFixture[str]) -> None:
    with open_log(pattern="%v") as process_log:
        process_log.reopen()
        log.error("here")
    os.write(2, b"still open\n")
    assert capfd.readouterr().err == "here\nstill open\n"


def test_a_full_disk_costs_lines_alone() -> None:
    process_log = ProcessLog(pattern="%v")
    process_log.fd = os.open("/dev/full", os.O_WRONLY)
    process_log.emit(logging.makeLogRecord({"msg": "lost"}))
    process_log.close()


def test_a_log_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), open_log(path=tmp_path / "no" / "log"):
        pass


def test_a_new_log_is_not_for_everybody(path: Path) -> None:
    with open_log(path=path):
        assert path.stat().st_mode & 0o137 == 0
