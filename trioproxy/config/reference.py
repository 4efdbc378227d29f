"""The reference of all keys, their types, defaults and meanings, in Markdown, from the classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args, get_origin

from trioproxy.config.fields import Field, Kind, fields_of, kind_of, part_of
from trioproxy.config.marks import OneOf
from trioproxy.config.registry import KINDS
from trioproxy.config.scalars import expected
from trioproxy.config.server import Config
from trioproxy.config.writer import write

if TYPE_CHECKING:
    from trioproxy.config.registry import Registry

HEAD = """\
# Configuration reference

Every key with its type, default and meaning. `trioproxy schema --markdown` makes this page;
[configuration.md](configuration.md) explains how a file is written.
"""


def reference(registry: Registry) -> str:
    """Return the page: a table for each class, in the order in which they are met."""
    headings: dict[type, str] = {}
    collect(Config, "The file", headings)
    for kind in KINDS:
        for name, part in registry.of(kind).items():
            collect(part, f"{name} ({kind} filter)", headings)
    return "\n".join([HEAD, *(table(headings[part], part, registry) for part in headings)])


def collect(part: type, heading: str, headings: dict[type, str]) -> None:
    """Note the headings of `part` and of the classes that it is made of."""
    if part in headings:
        return
    headings[part] = heading
    for field in fields_of(part).values():
        kind = kind_of(field.hint)
        while get_origin(kind.base) in (tuple, Mapping):
            kind = item_of(kind)
        if inner := part_of(kind):
            collect(inner, inner.__name__, headings)


def item_of(kind: Kind) -> Kind:
    """Return the type of the items of a list or of the values of a map."""
    return kind_of(get_args(kind.base)[0 if get_origin(kind.base) is tuple else 1])


def table(heading: str, part: type, registry: Registry) -> str:
    """Return the section of one class."""
    summary = (part.__doc__ or "").partition("\n")[0]
    rows = [row(field, registry) for field in fields_of(part).values()]
    if not rows:
        return f"## {heading}\n\n{summary} It has no keys.\n"
    head = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {heading}\n\n{summary}\n", *head, *rows, ""])


def row(field: Field, registry: Registry) -> str:
    """Return the row of one key."""
    cells = [f"`{field.name}`", type_of(kind_of(field.hint)), default(field, registry)]
    return " | ".join(["| " + cells[0], *cells[1:], field.meaning + " |"])


def type_of(kind: Kind) -> str:
    """Describe a type in a few words."""
    if get_origin(kind.base) is tuple:
        return f"list: {type_of(item_of(kind))}"
    if get_origin(kind.base) is Mapping:
        return f"map to {type_of(item_of(kind))}"
    if isinstance(one_of := kind.mark(OneOf), OneOf):
        return f"{one_of.part} filter"
    if part := part_of(kind):
        return f"[{part.__name__}](#{part.__name__.lower()})"
    return "anything" if kind.base is object else expected(kind)


def default(field: Field, registry: Registry) -> str:
    """Write a default as a file would."""
    if field.required:
        return "*required*"
    if part_of(kind_of(field.hint)) and field.default is not None:
        return "its own"
    written = write(field.default, field.hint, registry)
    return f"`{written if isinstance(written, str) and written else json.dumps(written)}`"
