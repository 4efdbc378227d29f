"""Compiles the changes to header fields that the levels of a configuration ask for into one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from trioproxy.accesslog.format import compile_value
from trioproxy.accesslog.origin import NOWHERE, Origin

if TYPE_CHECKING:
    from trioproxy.accesslog.record import Record
    from trioproxy.config.headers import HeaderOperations
    from trioproxy.headers import Field, Headers

Change = Callable[["Headers", "Record"], None]
"""Changes the fields, with what the record knows by then of the exchange."""

Addition = tuple[bytes, str | Callable[["Record"], str]]
"""A field's name, and its value or what makes it."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def compile_operations(
    levels: Iterable[HeaderOperations], origin: Origin = NOWHERE
) -> Change | None:
    """Return what applies `levels` in order, each by `remove`, `set`, `add`; None for nothing.

    The last level has the last word, so the most specific one comes last. Values may have the
    `%OPERATOR%`s of the access log; a field whose value comes out empty is left out. Raises
    ValueError for an operator that does not exist.
    """
    dropped: set[bytes] = set()
    added: list[Addition] = []
    for level in levels:
        names = {_wire(name) for name in (*level.remove, *level.set)}
        dropped |= names
        added = [addition for addition in added if addition[0] not in names]
        for name, text in (*level.set.items(), *level.add.items()):
            added.append((_wire(name), compile_value(text, origin) if "%" in text else text))
    return _change(frozenset(dropped), added) if dropped or added else None


def _change(dropped: frozenset[bytes], added: Sequence[Addition]) -> Change:
    fixed = _fields((name, text) for name, text in added if isinstance(text, str))

    def change_fixed(headers: Headers, _record: Record) -> None:
        headers.fields = [field for field in headers.fields if field[0] not in dropped] + fixed

    def change(headers: Headers, record: Record) -> None:
        # A value may be made of a field that is dropped: made first, then dropped.
        made = _fields(
            (name, text if isinstance(text, str) else text(record)) for name, text in added
        )
        headers.fields = [field for field in headers.fields if field[0] not in dropped] + made

    return change_fixed if all(isinstance(text, str) for _, text in added) else change


def _fields(values: Iterable[tuple[bytes, str]]) -> list[Field]:
    return [(name, wire) for name, text in values if (wire := _value(text))]


def _value(text: str) -> bytes:
    """Return text as it can stand in a field, whatever a peer put into it."""
    return _CONTROL.sub("", text).strip(" \t").encode("latin-1", "replace")


def _wire(name: str) -> bytes:
    return name.lower().encode("latin-1")
