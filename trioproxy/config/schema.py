"""The JSON Schema of a configuration file, made from the classes, for editors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_origin

from trioproxy.config.address import Address
from trioproxy.config.fields import Field, Kind, fields_of, kind_of, part_of
from trioproxy.config.marks import Length, Matching, OneOf, Range
from trioproxy.config.scalars import expected
from trioproxy.config.server import Config
from trioproxy.config.units import DURATION, PERCENTAGE, Unit
from trioproxy.config.writer import write
from trioproxy.drain.span import Span

if TYPE_CHECKING:
    from trioproxy.config.nodes import Plain
    from trioproxy.config.registry import Registry

Schema = dict[str, "Plain"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SIMPLE = {str: "string", Path: "string", bool: "boolean", int: "integer", float: "number"}


def schema(registry: Registry) -> Schema:
    """Return the schema of a file that may use the filters of `registry`."""
    writer = SchemaWriter(registry)
    root = writer.part(Config)
    return {"$schema": DIALECT, "title": "trioproxy configuration", **root, "$defs": writer.parts}


class SchemaWriter:
    """Collects the schemas of the classes, `parts`, as it meets them."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.parts: Schema = {}

    def part(self, part: type) -> Schema:
        """Return the schema of a class."""
        fields = fields_of(part)
        required: list[Plain] = [name for name, field in fields.items() if field.required]
        return {
            "description": (part.__doc__ or "").partition("\n")[0],
            "type": "object",
            "properties": {name: self.field(field) for name, field in fields.items()},
            "required": required,
            "additionalProperties": False,
        }

    def field(self, field: Field) -> Schema:
        """Return the schema of a field: its type's, with meaning and default."""
        about: Schema = {"description": field.meaning}
        if not field.required:
            about["default"] = write(field.default, field.hint, self.registry)
        return about | self.of(kind_of(field.hint))

    def of(self, kind: Kind) -> Schema:
        """Return the schema of a type."""
        return {"anyOf": [self.some(kind), {"type": "null"}]} if kind.optional else self.some(kind)

    def some(self, kind: Kind) -> Schema:
        """Return the schema of a type, None aside."""
        one_of = kind.mark(OneOf)
        if isinstance(one_of, OneOf):
            known = self.registry.of(one_of.part)
            return {"oneOf": [self.filter(name, part) for name, part in known.items()]}
        if get_origin(kind.base) is tuple:
            length = kind.mark(Length)
            least = length.minimum if isinstance(length, Length) else 0
            items = self.of(kind_of(get_args(kind.base)[0]))
            return {"type": "array", "items": items, "minItems": least}
        if get_origin(kind.base) is Mapping:
            values = self.of(kind_of(get_args(kind.base)[1]))
            return {"type": "object", "additionalProperties": values}
        part = part_of(kind)
        return self.reference(part) if part else leaf(kind)

    def filter(self, name: str, part: type) -> Schema:
        """Return the schema of a one-key map."""
        return {
            "type": "object",
            "properties": {name: self.reference(part)},
            "required": [name],
            "additionalProperties": False,
        }

    def reference(self, part: type) -> Schema:
        """Return a reference to a class's schema, or to its short form."""
        if part.__name__ not in self.parts:
            self.parts[part.__name__] = {}  # so that a class may contain itself
            self.parts[part.__name__] = self.part(part)
        whole: Schema = {"$ref": f"#/$defs/{part.__name__}"}
        short: str | None = getattr(part, "short", None)
        if short is None:
            return whole
        return {"anyOf": [self.of(kind_of(fields_of(part)[short].hint)), whole]}


def leaf(kind: Kind) -> Schema:
    """Return the schema of a scalar, or of free content."""
    if isinstance(unit := kind.mark(Unit), Unit):
        # A bare 0 is a number to JSON; any other number lacks its unit.
        zero: Schema = {"minimum": 0, "maximum": 0}
        return {"type": ["string", "integer"], "pattern": unit.pattern, "unit": unit.noun, **zero}
    if isinstance(matching := kind.mark(Matching), Matching):
        return {"type": "string", "pattern": f"^(?:{matching.pattern})$"}
    if isinstance(limits := kind.mark(Range), Range):
        return {"type": "integer", "minimum": limits.minimum, "maximum": limits.maximum}
    if get_args(kind.base) and get_origin(kind.base) is not re.Pattern:
        return {"enum": list(get_args(kind.base))}
    if get_origin(kind.base) is re.Pattern:
        return {"type": "string", "format": "regex"}
    if kind.base is Span:
        return {"anyOf": [{"pattern": unit.pattern} for unit in (PERCENTAGE, DURATION)]}
    if kind.base is Address:
        return {"type": "string", "unit": expected(kind)}
    name = next((name for base, name in SIMPLE.items() if kind.base is base), None)
    return {"type": name} if name else {}
