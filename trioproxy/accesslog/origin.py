"""Which process this is, as far as its log and its share of the work go."""

from __future__ import annotations

import attrs


@attrs.frozen
class Origin:
    """Which process writes the log; it is one of so many `workers`."""

    hostname: str = "-"
    epoch: int = 0
    worker: int = 0
    workers: int = 1


NOWHERE = Origin()
