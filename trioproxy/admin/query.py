"""Reading what stands after the question mark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

Query: TypeAlias = Mapping[str, str]


class BadQuery(ValueError):
    """The query cannot be followed; the text is the reason."""


def pattern(query: Query, name: str = "filter") -> re.Pattern[str] | None:
    """Return a regular expression, or None where all is wanted; raises BadQuery."""
    if not query.get(name):
        return None
    try:
        return re.compile(query[name])
    except re.error as error:
        raise BadQuery(f"{name}: not a regular expression: {error}") from None


def choice(query: Query, name: str, *known: str) -> str:
    """Return one of some words, the first where the query says nothing; raises BadQuery."""
    wanted = query.get(name, known[0])
    if wanted not in known:
        raise BadQuery(f"{name}={wanted}: expected {' or '.join(known)}")
    return wanted
