"""How many workers this machine, or this container, is good for."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Return the cores that we may use: by affinity and by the quota of the cgroup, at least 1."""
    cores = len(os.sched_getaffinity(0))
    quota = cpu_quota(cgroup)
    return cores if quota is None else max(1, min(cores, ceil(quota)))


def cpu_quota(cgroup: Path) -> float | None:
    """Return how many cores' worth of time the cgroup (version 2) gives; None: without limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)
