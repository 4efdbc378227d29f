"""Frozen messages as JSON and back; what a peer wrote is checked field by field."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from types import NoneType, UnionType
from typing import Generic, TypeVar, cast, get_args, get_origin, get_type_hints

import attrs

from trioproxy.restart.packets import BadMessage

M = TypeVar("M")


class Vocabulary(Generic[M]):
    """The messages that one side of a channel understands: a union of frozen attrs classes.

    Their fields are scalars, other such classes, tuples of these, or `dict[str, object]` for free
    JSON; their validators are heard. Fields that a class does not know are ignored, fields with a
    default may be missing: that is how a newer peer stays understood.
    """

    def __init__(self, union: type | UnionType) -> None:
        kinds = cast("tuple[type, ...]", get_args(union) or (union,))
        self._kinds = {kind.__name__: kind for kind in kinds}

    def decode(self, body: bytes) -> M:
        """Read one message; raises BadMessage saying what is wrong with it."""
        try:
            value: object = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadMessage(f"not JSON: {error}") from None
        match value:
            case [str(name), fields] if name in self._kinds:
                return cast("M", structure(self._kinds[name], fields))
        raise BadMessage(f"not a message known here: {body[:80]!r}")


def encode(message: attrs.AttrsInstance) -> bytes:
    """Write one message: `["Name", {field: value, ...}]`."""
    return json.dumps([type(message).__name__, attrs.asdict(message)]).encode()


def structure(kind: object, value: object) -> object:
    """Return `value`, fresh from JSON, as a `kind`; raises BadMessage where it is none."""
    if attrs.has(cast("type", kind)) and isinstance(value, dict):
        return _instance(cast("type[attrs.AttrsInstance]", kind), value)
    if get_origin(kind) is tuple and isinstance(value, list):
        item, _ = get_args(kind)
        return tuple(structure(item, part) for part in value)
    if isinstance(kind, UnionType):
        (inner,) = set(get_args(kind)) - {NoneType}
        return None if value is None else structure(inner, value)
    if kind is float and type(value) is int:
        with suppress(OverflowError):
            return float(value)
    if type(value) is (get_origin(kind) or kind):
        return value
    raise BadMessage(f"expected {getattr(kind, '__name__', kind)}, found {str(value)[:40]!r}")


@cache
def _fields(kind: type[attrs.AttrsInstance]) -> dict[str, tuple[object, bool]]:
    """Name, type and 'may be missing' of each field of a message class."""
    hints = get_type_hints(kind)
    return {
        field.name: (hints[field.name], field.default is not attrs.NOTHING)
        for field in attrs.fields(kind)
    }


def _instance(kind: type[attrs.AttrsInstance], value: dict[str, object]) -> object:
    arguments = {}
    for name, (hint, optional) in _fields(kind).items():
        if name in value:
            arguments[name] = structure(hint, value[name])
        elif not optional:
            raise BadMessage(f"{kind.__name__} without {name!r}")
    try:
        return kind(**arguments)
    except ValueError as error:
        raise BadMessage(f"{kind.__name__}: {error}") from None
