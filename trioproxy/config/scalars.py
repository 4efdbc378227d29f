"""From a text in the file to a value: one small reader per type."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from trioproxy.config.address import EXPECTED as EXPECTED_ADDRESS
from trioproxy.config.address import Address
from trioproxy.config.marks import Later, Matching, Range
from trioproxy.config.nodes import Items, Node, Scalar
from trioproxy.config.problems import guess
from trioproxy.config.units import EXPECTED_SPAN, Unit, parse_span
from trioproxy.drain.span import Span

if TYPE_CHECKING:
    from trioproxy.config.fields import Kind

WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def read_scalar(node: Node, kind: Kind, directory: Path) -> object:
    """Return the value of `node` as a `kind`; raises ValueError saying what was expected.

    Relative paths are taken from `directory`.
    """
    if not isinstance(node, Scalar):
        quote = (
            ' (quote it: "[::1]:80")' if kind.base is Address and isinstance(node, Items) else ""
        )
        raise ValueError(f"expected {expected(kind)}, found {node}{quote}")
    if isinstance(unit := kind.mark(Unit), Unit):
        return quantity(node, kind, unit)
    if kind.base is Span:
        return parse_span(node.text)
    if get_origin(kind.base) is Literal:
        return choice(node, kind)
    if kind.base is bool:
        return truth(node)
    if kind.base in (float, int):
        return number(node, kind)
    return from_text(text(node, kind), kind, directory)


def expected(kind: Kind) -> str:
    """Say what a value of `kind` looks like."""
    for mark in (kind.mark(Unit), kind.mark(Matching), kind.mark(Range)):
        if isinstance(mark, Unit | Matching | Range):
            return mark.expected
    if get_origin(kind.base) is Literal:
        choices = [str(choice) for choice in get_args(kind.base)]
        return f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
    if get_origin(kind.base) is re.Pattern:
        return "a regular expression"
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        Path: "a path",
        Address: EXPECTED_ADDRESS,
        Span: EXPECTED_SPAN,
    }
    return next((name for base, name in names.items() if kind.base is base), "text")


def quantity(node: Scalar, kind: Kind, unit: Unit) -> int | float:
    """Read a number with its unit, within its range."""
    value = unit.parse(node.text)
    limits = kind.mark(Range)
    if isinstance(limits, Range) and not limits.minimum <= value <= limits.maximum:
        least, most = unit.format(limits.minimum), unit.format(limits.maximum)
        raise ValueError(f"expected {least} to {most}, found {node.text}")
    return value if kind.base is float else int(value)


def choice(node: Scalar, kind: Kind) -> object:
    """Read one of a Literal's values."""
    choices = {str(value): value for value in get_args(kind.base)}
    if node.text in choices:
        return choices[node.text]
    later = kind.mark(Later)
    if isinstance(later, Later) and node.text in later.values:
        raise ValueError(f"{node.text!r} is not supported yet; expected {expected(kind)}")
    hint = guess(node.text, choices) if isinstance(node.value, str) else ""
    raise ValueError(f"expected {expected(kind)}, found {node}{hint}")


def truth(node: Scalar) -> bool:
    """Read a truth value."""
    if isinstance(node.value, bool):
        return node.value
    word = WORDS.get(node.text.lower()) or (node.quoted and node.text)
    hint = f" (did you mean {word}?)" if word in {"true", "false"} else ""
    raise ValueError(f"expected true or false, found {node}{hint}")


def number(node: Scalar, kind: Kind) -> int | float:
    """Read a number within its range."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int if kind.base is int else int | float):
        numeric = Scalar(node.place, node.text).value
        hint = " (leave the quotes out)" if node.quoted and isinstance(numeric, int) else ""
        raise ValueError(f"expected {expected(kind)}, found {node}{hint}")
    limits = kind.mark(Range)
    if isinstance(limits, Range) and not limits.minimum <= value <= limits.maximum:
        raise ValueError(f"expected {expected(kind)}, found {node.text}")
    return float(value) if kind.base is float else value


def text(node: Scalar, kind: Kind) -> str:
    """Read a text; what looks like something else must be quoted to be one."""
    if node.value is None:
        raise ValueError(f"expected {expected(kind)}, found nothing")
    if not isinstance(node.value, str):
        raise ValueError(f'expected {expected(kind)}, found {node} (quote it: "{node.text}")')
    matching = kind.mark(Matching)
    if isinstance(matching, Matching) and not matching.accepts(node.text):
        raise ValueError(f"expected {expected(kind)}, found {node}")
    return node.text


def from_text(written: str, kind: Kind, directory: Path) -> object:
    """Make a path, a pattern or an address of a text, or leave it a text."""
    if kind.base is Address:
        return Address.parse(written).under(directory)
    if kind.base is Path:
        return directory / written
    if get_origin(kind.base) is re.Pattern:
        try:
            return re.compile(written)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
    return written
