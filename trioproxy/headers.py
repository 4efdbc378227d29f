"""Header fields as an ordered multi-map with lower-case names (RFC 9110 section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Iterator

Field = tuple[bytes, bytes]


class Headers:
    """An ordered multi-map of header fields.

    `fields` is the wire form, lower-case names and trimmed values as bytes, open to code on the
    hot path. The methods speak text: names in any case, values as latin-1 (RFC 9110 section 5.5).
    """

    __slots__ = ("fields",)

    def __init__(self, fields: list[Field] | None = None) -> None:
        self.fields: list[Field] = [] if fields is None else fields

    def __repr__(self) -> str:
        return f"<Headers {' '.join(name for name, _ in self)}>"

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of `name`, or `default`."""
        wanted = _name(name)
        for field, value in self.fields:
            if field == wanted:
                return value.decode("latin-1")
        return default

    def get_all(self, name: str) -> list[str]:
        """Return every value of `name` in order."""
        wanted = _name(name)
        return [value.decode("latin-1") for field, value in self.fields if field == wanted]

    def set(self, name: str, value: str) -> None:
        """Replace every value of `name` by one, at the end.

        Raises ValueError where `name` is not a token or `value` has a control character.
        """
        field = _field(name, value)
        self.remove(name)
        self.fields.append(field)

    def add(self, name: str, value: str) -> None:
        """Append one more value of `name`; raises ValueError as `set` does."""
        self.fields.append(_field(name, value))

    def remove(self, name: str) -> None:
        """Remove every value of `name`, if there is one."""
        wanted = _name(name)
        self.fields = [field for field in self.fields if field[0] != wanted]

    def copy(self) -> Headers:
        """Return an independent copy."""
        return Headers(self.fields.copy())


TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
LEGAL = bytes(
    byte if byte == 0x09 or (byte >= 0x20 and byte != 0x7F) else byte ^ 0x80 for byte in range(256)
)
"""Leaves alone what may stand in a value. To delete that instead would take four times as long."""


def is_name(name: bytes) -> bool:
    """Tell whether `name` is a field name in lower case: a token of at least one character."""
    return bool(name) and not name.translate(None, TOKEN_BYTES)


def is_value(value: bytes) -> bool:
    """Tell whether `value` is free of control characters; tabs may stand inside."""
    return value.translate(LEGAL) == value


def _name(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _field(name: str, value: str) -> Field:
    wire_name, wire_value = _name(name), value.strip(" \t").encode("latin-1")
    if not is_name(wire_name):
        raise ValueError(f"not a header field name: {name!r}")
    if not is_value(wire_value):
        raise ValueError(f"control character in the value of header field {name!r}")
    return wire_name, wire_value
