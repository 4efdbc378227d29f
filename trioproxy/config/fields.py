"""The fields of a configuration class, as its annotations describe them."""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Union, get_args, get_origin, get_type_hints

import attrs

from trioproxy.config.marks import Internal
from trioproxy.drain.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@attrs.frozen
class Field:
    """One field: its type with marks, its meaning, and the default unless it is required."""

    name: str
    hint: object
    meaning: str
    required: bool
    default: object = None


@attrs.frozen
class Kind:
    """A type taken apart: `base` without None, what was said about it, and whether None may be."""

    base: object
    marks: tuple[object, ...] = ()
    optional: bool = False

    def mark(self, *classes: type) -> object:
        """Return the first mark of one of these classes, or None."""
        return next((mark for mark in self.marks if isinstance(mark, classes)), None)


@cache
def fields_of(part: type) -> Mapping[str, Field]:
    """Return the fields that a file may set, by name, in their order."""
    hints = get_type_hints(part, include_extras=True)
    assert attrs.has(part)
    fields = (field_of(attribute, hints[attribute.name]) for attribute in attrs.fields(part))
    return {field.name: field for field in fields if not kind_of(field.hint).mark(Internal)}


def field_of(attribute: attrs.Attribute[object], hint: object) -> Field:
    """Join what attrs and the annotation know about a field."""
    meaning = " ".join(mark for mark in kind_of(hint).marks if isinstance(mark, str))
    factory: Callable[[], object] | None = getattr(attribute.default, "factory", None)
    default = factory() if factory else attribute.default
    return Field(attribute.name, hint, meaning, default is attrs.NOTHING, default)


def kind_of(hint: object) -> Kind:
    """Take a type apart; marks of an outer `Annotated` come first."""
    if get_origin(hint) is Annotated:
        base, *marks = get_args(hint)
        inner = kind_of(base)
        return Kind(inner.base, (*marks, *inner.marks), inner.optional)
    if get_origin(hint) in {Union, UnionType}:
        members = [member for member in get_args(hint) if member is not NoneType]
        inner = kind_of(members[0])
        return Kind(inner.base, inner.marks, optional=True)
    return Kind(hint)


def part_of(kind: Kind) -> type | None:
    """Return the class that is read from a map, or None where a list or a text is read."""
    base = kind.base
    is_text = hasattr(base, "parse") or base is Span
    if isinstance(base, type) and attrs.has(base) and not is_text:
        return base
    return None
