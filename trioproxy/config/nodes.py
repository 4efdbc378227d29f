"""A YAML document as a tree that knows where each part stands, with YAML 1.2's core scalars."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from trioproxy.config.problems import Place

NULL = re.compile(r"null|Null|NULL|~|")
BOOL = re.compile(r"(true|True|TRUE)|false|False|FALSE")
INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)

Value = str | int | float | bool | None
Plain = Value | list["Plain"] | dict[str, "Plain"]


@attrs.frozen
class Scalar:
    """A text; `quoted` ones are nothing but text."""

    place: Place
    text: str
    quoted: bool = False

    @property
    def value(self) -> Value:
        """What the text means: nothing, a truth value, a number or the text itself."""
        text = self.text
        if self.quoted:
            return text
        if NULL.fullmatch(text):
            return None
        if match := BOOL.fullmatch(text):
            return match[1] is not None
        if INT.fullmatch(text):
            return int(text, 0) if text[1:2] in {"o", "x"} else int(text)
        if FLOAT.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text

    def __str__(self) -> str:
        match self.value:
            case None:
                return "nothing"
            case bool():
                return self.text
            case int() | float():
                return f"the number {self.text}"
            case _:
                return f"{self.text!r}"


@attrs.frozen
class Items:
    """A list."""

    place: Place
    items: tuple[Node, ...]

    def __str__(self) -> str:
        return "a list"


@attrs.frozen
class Entries:
    """A map; its keys are distinct texts."""

    place: Place
    entries: dict[str, tuple[Scalar, Node]]

    def get(self, key: str) -> Node | None:
        """Return what stands under `key`."""
        entry = self.entries.get(key)
        return entry and entry[1]

    def __str__(self) -> str:
        return "a map"


Node = Scalar | Items | Entries


def merge(base: Node, over: Node) -> Node:
    """Lay `over` on `base`: maps merge key by key, lists are appended, scalars replaced."""
    match base, over:
        case Entries(), Entries():
            merged = base.entries | over.entries
            for key in base.entries.keys() & over.entries.keys():
                name, old = base.entries[key]
                merged[key] = name, merge(old, over.entries[key][1])
            return Entries(base.place, merged)
        case Items(), Items():
            return Items(base.place, base.items + over.items)
        case _:
            return over


def plain(node: Node) -> Plain:
    """Return `node` as ordinary lists, dicts and scalars."""
    match node:
        case Scalar():
            return node.value
        case Items():
            return [plain(item) for item in node.items]
        case Entries():
            return {key: plain(value) for key, (_, value) in node.entries.items()}
