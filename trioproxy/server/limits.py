"""What a process asks of the system before it serves."""

from __future__ import annotations

import faulthandler
import logging
import resource
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.server.log import ProcessLog

log = logging.getLogger("trioproxy.main")


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
