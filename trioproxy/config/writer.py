"""From configuration classes back to what a file would say: the reader's inverse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_origin

from trioproxy.config.address import Address
from trioproxy.config.fields import fields_of, kind_of, part_of
from trioproxy.config.marks import OneOf
from trioproxy.config.units import Unit, format_span
from trioproxy.drain.span import Span

if TYPE_CHECKING:
    from trioproxy.config.fields import Kind
    from trioproxy.config.nodes import Plain
    from trioproxy.config.registry import Registry


def write_part(part: object, registry: Registry) -> dict[str, Plain]:
    """Return the map that is read as `part`, its defaults written out except for None."""
    made_from: type = type(part)
    return {
        name: write(value, field.hint, registry)
        for name, field in fields_of(made_from).items()
        if (value := getattr(part, name)) is not None or field.default is not None
    }


def write(value: object, hint: object, registry: Registry) -> Plain:
    """Return what is read as `value` where a `hint` is expected."""
    kind = kind_of(hint)
    if value is None:
        return None
    one_of = kind.mark(OneOf)
    if isinstance(one_of, OneOf):
        return {registry.name_of(one_of.part, value): write_part(value, registry)}
    if isinstance(value, tuple):
        return [write(item, get_args(kind.base)[0], registry) for item in value]
    if isinstance(value, Mapping) and get_origin(kind.base) is Mapping:
        item_hint = get_args(kind.base)[1]
        return {key: write(item, item_hint, registry) for key, item in value.items()}
    if part_of(kind):
        return write_part(value, registry)
    return write_leaf(value, kind)


def write_leaf(value: object, kind: Kind) -> Plain:
    """Return a scalar as it is written, or free content as it is."""
    unit = kind.mark(Unit)
    if isinstance(unit, Unit) and isinstance(value, int | float):
        return unit.format(value)
    if isinstance(value, re.Pattern):
        return str(value.pattern)
    if isinstance(value, Span):
        return format_span(value)
    if isinstance(value, Address | Path):
        return str(value)
    assert isinstance(value, str | int | float | bool | list | dict)
    return value
