"""Hosts in a message for people: the first few of what may be thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST = 10

H = TypeVar("H")


def named(hosts: Sequence[H], said: Callable[[H], str] = str) -> str:
    """Return what is `said` of the first of some hosts, and how many more there are."""
    more = len(hosts) - MOST
    return ", ".join([*map(said, hosts[:MOST]), *([f"and {more} more"] if more > 0 else [])])
