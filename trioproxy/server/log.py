"""The process log: one line per event, written whole, reopened on demand.

It is standard `logging` underneath: a component logs to `logging.getLogger("trioproxy.<name>")`.
Main opens it once; the zygote and the workers inherit it and write to the same file.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = {
    "trace": 5,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "off": logging.CRITICAL + 10,
}
NAMES = {number: name for name, number in LEVELS.items() if name != "warn"}
DEFAULT_PATTERN = "[%Y-%m-%d %T.%e][%t][%l][%n] %v"
ROOT = "trioproxy"
log = logging.getLogger(f"{ROOT}.log")
STDERR = 2


class ProcessLog(logging.Handler):
    """Writes records to stderr, or to the file at `path`; owns that file.

    The descriptor keeps its number when the file is reopened, for whoever writes to it directly.
    """

    def __init__(self, path: Path | None = None, pattern: str | None = None) -> None:
        super().__init__()
        self.path = path
        self.fd = STDERR if path is None else open_appending(path)
        self.setFormatter(PatternFormatter(pattern or DEFAULT_PATTERN))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as one line."""
        with suppress(OSError):  # a full disk or a closed pipe costs the line, never the service
            os.write(self.fd, (self.format(record) + "\n").encode(errors="backslashreplace"))

    def reopen(self) -> None:
        """Open the file anew by name, as after a rename; where that fails, the old one stays."""
        if self.path is None:
            return
        try:
            fd = open_appending(self.path)
        except OSError as error:
            log.error("cannot reopen %s: %s", self.path, error.strerror)
            return
        os.dup2(fd, self.fd, inheritable=False)
        os.close(fd)

    def close(self) -> None:
        """Close the file."""
        if self.fd != STDERR:
            os.close(self.fd)
            self.fd = STDERR
        super().close()


def set_level(level: str, component: str = "") -> None:
    """Log `component`, or all that have no level of their own, from `level` on."""
    logging.getLogger(f"{ROOT}.{component}" if component else ROOT).setLevel(LEVELS[level])


def open_appending(path: Path) -> int:
    """Open a log file for whole lines; raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


@contextmanager
def open_log(
    level: str = "info",
    components: Mapping[str, str] | None = None,
    path: Path | None = None,
    pattern: str | None = None,
) -> Iterator[ProcessLog]:
    """Have everything that is logged written; raises OSError where `path` cannot be opened."""
    handler = ProcessLog(path, pattern)
    set_level(level)
    for component, own_level in (components or {}).items():
        set_level(own_level, component)
    logging.getLogger().addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


Piece: TypeAlias = Callable[[logging.LogRecord], str]


class PatternFormatter(logging.Formatter):
    """Formats by a pattern of spdlog, as Envoy's `--log-format` takes it."""

    def __init__(self, pattern: str) -> None:
        super().__init__()
        self._pieces = [_piece(part) for part in re.findall(r"%.|[^%]+|%", pattern, re.DOTALL)]

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, without its end."""
        return "".join(piece(record) for piece in self._pieces)


def _piece(part: str) -> Piece:
    if part in FLAGS:
        return FLAGS[part]
    if part in CLOCK_FLAGS:
        return lambda record: time.strftime(part, time.localtime(record.created))
    return lambda _: part


def text(record: logging.LogRecord) -> str:
    """Return what a record says, in one line."""
    message = record.getMessage()
    if record.exc_info and record.exc_info[1]:
        message = f"{message}: {fold(record.exc_info[1])}"
    return message.replace("\n", "\\n")


def fold(error: BaseException) -> str:
    """Describe an exception and where it came from in one line, the innermost call first."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(fold(inner) for inner in error.exceptions)
    calls = [
        f"{os.path.basename(frame.filename)}:{frame.lineno} in {frame.name}"
        for frame in reversed(traceback.extract_tb(error.__traceback__))
    ]
    return f"{type(error).__name__}: {error} ({' < '.join(calls)})"


CLOCK_FLAGS = {f"%{letter}" for letter in "aAbBcYDmdHIMSprRTXz"}
FLAGS: dict[str, Piece] = {
    "%%": lambda _: "%",
    "%v": text,
    "%_": text,
    "%j": lambda record: json.dumps(text(record))[1:-1],
    "%e": lambda record: f"{int(record.msecs):03}",
    "%f": lambda record: f"{int(record.created % 1 * 1e6):06}",
    "%E": lambda record: str(int(record.created)),
    "%t": lambda _: str(os.getpid()),
    "%P": lambda _: str(os.getpid()),
    "%l": lambda record: NAMES.get(record.levelno, record.levelname.lower()),
    "%L": lambda record: record.levelname[:1],
    "%n": lambda record: record.name.removeprefix(f"{ROOT}."),
    "%g": lambda record: record.pathname,
    "%s": lambda record: record.filename,
    "%#": lambda record: str(record.lineno),
    "%!": lambda record: record.funcName,
    "%@": lambda record: f"{record.pathname}:{record.lineno}",
}
