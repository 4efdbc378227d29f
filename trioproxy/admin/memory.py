"""How much memory the processes of this generation take, as the kernel counts it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

KIB = 1024


@attrs.frozen
class Memory:
    """Bytes over some processes; what they share counts once."""

    allocated: int = 0  # that only a process could have written itself
    heap: int = 0  # the address room for it
    physical: int = 0  # in RAM, programs and libraries included

    def __add__(self, other: Memory) -> Memory:
        return Memory(
            self.allocated + other.allocated,
            self.heap + other.heap,
            self.physical + other.physical,
        )


def measure() -> Memory:
    """Return the memory of this process and all its descendants."""
    total = Memory()
    for pid in family(os.getpid()):
        with suppress(OSError):  # it has ended meanwhile, or is hidden from us
            total += memory_of(pid)
    return total


def family(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                yield from family(int(child))


def memory_of(pid: int) -> Memory:
    """Return the memory of one process; raises OSError."""
    shares = sizes(Path(f"/proc/{pid}/smaps_rollup").read_text())
    status = sizes(Path(f"/proc/{pid}/status").read_text())
    physical = shares.get("Pss", 0)
    return Memory(shares.get("Pss_Anon", physical), status.get("VmData", 0), physical)


def sizes(text: str) -> dict[str, int]:
    """Read lines such as `VmData:  1234 kB`; returns bytes by name."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)
    return {name: int(number) * KIB for name, number in lines}
