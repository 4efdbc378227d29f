from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from trioproxy.cli.cores import usable_cores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("cpu_max", "cores"),
    [
        ("max 100000\n", 8),
        ("150000 100000\n", 2),
        ("200000 100000\n", 2),
        ("10000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("nonsense\n", 8),
        (None, 8),
    ],
)
def test_workers_follow_affinity_and_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu_max: str | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    if cpu_max is not None:
        (tmp_path / "cpu.max").write_text(cpu_max)
    assert usable_cores(tmp_path) == cores


def test_this_machine_has_a_core() -> None:
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))
