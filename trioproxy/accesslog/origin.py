"""Which process writes a log."""

from __future__ import annotations

import attrs


@attrs.frozen
class Origin:
    """Which process writes the log."""

    hostname: str = "-"
    epoch: int = 0
    worker: int = 0


NOWHERE = Origin()
