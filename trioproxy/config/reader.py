"""From a tree of nodes to configuration classes, driven by their annotations, noting every mistake.

Each `read...` method returns the value, or a `Failed` after it has noted the reason. So a mistake
hides no other one: siblings are read, names are declared and compared as far as they are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, get_args, get_origin

import attrs

from trioproxy.config.fields import Kind, fields_of, kind_of, part_of
from trioproxy.config.marks import Declares, Invalid, Length, OneOf, RefersTo, Unique
from trioproxy.config.nodes import Entries, Items, Node, Scalar, plain
from trioproxy.config.problems import Place, Problem, guess
from trioproxy.config.scalars import read_scalar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trioproxy.config.registry import FilterKind, Registry


@attrs.frozen(eq=False)
class Failed:
    """What could not be read; `values` are the fields that could."""

    values: Mapping[str, object] = attrs.Factory(dict)


class Reader:
    """Reads one configuration.

    `problems` are the mistakes so far, `parts` every object made of a map with its place.
    """

    def __init__(self, registry: Registry, directory: Path) -> None:
        self.registry = registry
        self.directory = directory
        self.problems: list[Problem] = []
        self.parts: list[tuple[object, Place]] = []
        self.declared: dict[str, set[str]] = {"cluster": set()}
        self.references: list[tuple[str, Scalar]] = []

    def read(self, node: Node, hint: object) -> object:
        """Read `node` as the type `hint` says."""
        kind = kind_of(hint)
        if kind.optional and isinstance(node, Scalar) and node.value is None:
            return None
        one_of = kind.mark(OneOf)
        if isinstance(one_of, OneOf):
            return self.read_filter(node, one_of.part)
        if get_origin(kind.base) is tuple:
            return self.read_items(node, kind)
        if get_origin(kind.base) is Mapping:
            return self.read_mapping(node, kind)
        if part := part_of(kind):
            return self.read_part(node, part)
        if kind.base is object:
            return plain(node)
        return self.read_leaf(node, kind)

    def fail(self, node: Node, reason: str) -> Failed:
        """Note a mistake."""
        self.problems.append(Problem(node.place, reason))
        return Failed()

    def read_leaf(self, node: Node, kind: Kind) -> object:
        """Read a scalar, and keep count of names."""
        try:
            value = read_scalar(node, kind, self.directory)
        except ValueError as error:
            return self.fail(node, str(error))
        declares, refers = kind.mark(Declares), kind.mark(RefersTo)
        if isinstance(declares, Declares):
            self.declared[declares.part].add(str(value))
        if isinstance(refers, RefersTo) and isinstance(node, Scalar):
            self.references.append((refers.part, node))
        return value

    def read_items(self, node: Node, kind: Kind) -> object:
        """Read a list."""
        if not isinstance(node, Items):
            return self.fail(node, f"expected a list, found {node}")
        length, unique = kind.mark(Length), kind.mark(Unique)
        if isinstance(length, Length) and len(node.items) < length.minimum:
            return self.fail(node, "expected a list with something in it, found an empty one")
        hint = get_args(kind.base)[0]
        values = tuple(self.read(item, hint) for item in node.items)
        if isinstance(unique, Unique):
            for field in unique.fields:
                self.check_unique(field, node.items, values)
        return Failed() if any(isinstance(value, Failed) for value in values) else values

    def read_mapping(self, node: Node, kind: Kind) -> object:
        """Read a map with free keys."""
        if not isinstance(node, Entries):
            return self.fail(node, f"expected a map, found {node}")
        hint = get_args(kind.base)[1]
        values = {key: self.read(value, hint) for key, (_, value) in node.entries.items()}
        return Failed() if any(isinstance(value, Failed) for value in values.values()) else values

    def read_filter(self, node: Node, part: FilterKind) -> object:
        """Read a one-key map `{name: {...}}` as the class that is registered under that name."""
        known = self.registry.of(part)
        if not isinstance(node, Entries) or len(node.entries) != 1:
            return self.fail(node, f"expected a map of one key, {' or '.join(known)}, found {node}")
        ((key, value),) = node.entries.values()
        if key.text in known:
            return self.read_part(value, known[key.text])
        if key.text in self.registry.later:
            return self.fail(key, f"filter {key.text!r} is not supported yet")
        hint = guess(key.text, known) or f" (expected {', '.join(known)})"
        return self.fail(key, f"unknown {part} filter {key.text!r}{hint}")

    def read_part(self, node: Node, part: type) -> object:
        """Read a map as the class `part`; a scalar where the class has a short form."""
        node = as_map(node, part)
        if not isinstance(node, Entries):
            return self.fail(node, f"expected a map of {', '.join(fields_of(part))}, found {node}")
        fields = fields_of(part)
        for key, _ in node.entries.values():
            if key.text not in fields:
                self.unknown_key(key, part)
        values = {
            name: self.read(value, fields[name].hint)
            for name, (_, value) in node.entries.items()
            if name in fields
        }
        missing = [name for name in fields if fields[name].required and name not in values]
        for name in missing:
            self.fail(node, f"missing {name!r}: {fields[name].meaning}")
        if missing or any(isinstance(value, Failed) for value in values.values()):
            # What is there may not fit each other either: ask, as far as the class can tell.
            with suppress(AttributeError, TypeError):
                self.make(node, part, values)
            return Failed(values)
        return self.make(node, part, values)

    def make(self, node: Entries, part: type, values: dict[str, object]) -> object:
        """Make the object; where its fields do not fit each other, say so at the one to blame."""
        try:
            made = part(**values)
        except Invalid as error:
            self.fail(node.get(error.field or "") or node, str(error))
            return Failed(values)
        self.parts.append((made, node.place))
        return made

    def unknown_key(self, key: Scalar, part: type) -> None:
        """Refuse a key that `part` does not have, or not yet."""
        fields = fields_of(part)
        later: tuple[str, ...] = getattr(part, "later", ())
        if key.text in later:
            self.fail(key, f"{key.text!r} is not supported yet")
            return
        near = guess(key.text, fields) or f" (expected {', '.join(fields)})"
        self.fail(key, f"unknown key {key.text!r}{near}")

    def check_unique(self, field: str, nodes: tuple[Node, ...], values: tuple[object, ...]) -> None:
        """Refuse the second of two items with an equal `field`."""
        first: dict[object, Place] = {}
        for node, item in zip(nodes, values, strict=True):
            for value, place in members(field, node, item):
                if value in first:
                    noun = field if field.endswith("ss") else field.removesuffix("s")
                    reason = f"duplicate {noun} {str(value)!r}"
                    self.problems.append(Problem(place, f"{reason} (first at {first[value]})"))
                first.setdefault(value, place)

    def check_references(self) -> None:
        """Refuse names that nothing declares."""
        for part, node in self.references:
            known = self.declared[part]
            if node.text not in known:
                self.fail(node, f"unknown {part} {node.text!r}{guess(node.text, known)}")


def as_map(node: Node, part: type) -> Node:
    """Write out the short forms of a map: a scalar for its one field, nothing for none."""
    if not isinstance(node, Scalar):
        return node
    short: str | None = getattr(part, "short", None)
    if node.value is None:
        return Entries(node.place, {})
    return Entries(node.place, {short: (Scalar(node.place, short), node)}) if short else node


def members(field: str, node: Node, item: object) -> Iterator[tuple[object, Place]]:
    """Yield the value of `field` with its place, or each of its members where it is a list."""
    value = item.values.get(field) if isinstance(item, Failed) else getattr(item, field)
    where = (node.get(field) if isinstance(node, Entries) else None) or node
    if isinstance(value, tuple) and isinstance(where, Items):
        yield from ((each, at.place) for each, at in zip(value, where.items, strict=True))
    elif not (value is None or isinstance(value, Failed) or getattr(value, "free", False)):
        yield value, where.place
