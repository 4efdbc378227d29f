"""Hosts in a message for people: the first few of what may be thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 10


def named(hosts: Sequence[str]) -> str:
    """Return the first of some hosts, and how many more there are."""
    more = len(hosts) - MOST
    return ", ".join([*hosts[:MOST], *([f"and {more} more"] if more > 0 else [])])
