"""What a process asks of the system before it serves."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import logging
import resource
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.server.log import ProcessLog

log = logging.getLogger("trioproxy.main")

M_TRIM_THRESHOLD = -1  # malloc.h
KEPT = 4 << 20
YOUNG = 5000  # new objects beyond those that went again, between two collections of them
RARELY = 300  # collections of the younger garbage between two of all; 10 unless it is said


def raise_descriptor_limit() -> int:
    """Raise the limit of open descriptors as far as it goes; returns it.

    It also bounds the descriptors that may be under way in channels.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    log.info("limit of open descriptors: %d (was %d)", hard, soft)
    return hard


def dump_stacks_to(process_log: ProcessLog) -> None:
    """Have SIGUSR2, and a crash, write the stacks of this process and its forks to the log."""
    faulthandler.enable(process_log.fd)
    faulthandler.register(signal.SIGUSR2, process_log.fd)


def keep_freed_memory() -> None:
    """Have malloc keep as much as a few bodies need at a time, 4 MiB, for the next ones.

    It would give that back after each of them, and the kernel would clear its pages anew.
    """
    with suppress(AttributeError):  # a C library that has no such thing
        ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, KEPT)


def collect_rarely() -> None:
    """Have the garbage collector look seldom at what is new, and at everything once in a while.

    With ten thousand connections the latter takes a third of a second, in which nobody is served;
    and it finds little, for a connection that is over is gone without it. Some dozens of requests
    at a time are more objects than Python's own threshold of new ones: looking at them took a
    fourteenth of all time.
    """
    _, middle, _ = gc.get_threshold()
    gc.set_threshold(YOUNG, middle, RARELY)
