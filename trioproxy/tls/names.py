"""Which of several names a server name is: exactly, else by the longest wildcard."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = TypeVar("Value")


def by_name(names: Mapping[str, Value], name: str) -> Value | None:
    """Return what belongs to `name`; None where nothing does.

    `*.example.org` is every name that ends so, however many labels it begins with.
    """
    for candidate in candidates(name):
        if candidate in names:
            return names[candidate]
    return None


def candidates(name: str) -> list[str]:
    """Return the names that would match, the most specific one first."""
    labels = name.lower().rstrip(".").split(".")
    wildcards = ["*." + ".".join(labels[index:]) for index in range(1, len(labels))]
    return [".".join(labels), *wildcards]
