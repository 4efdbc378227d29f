"""Field lines, in and out, and which of them are worth remembering (RFC 9112 section 5).

Clients and servers repeat the same lines on every message, so the codec keeps a memo from a line
to what it means, and from a field to its line. What identifies somebody or hardly comes back is
not kept: it would lie in memory long after its exchange, and push out what is of use.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, NamedTuple

from trioproxy.codec.errors import MalformedMessage, UnsafeMessage
from trioproxy.codec.marks import M
from trioproxy.codec.memo import Memo
from trioproxy.headers import Field, is_name, is_value

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from trioproxy.codec.marks import Mark, Reader

PRIVATE = re.compile(
    rb"auth|cert|cookie|credential|csrf|^forwarded$|forwarded-for|jwt|key|nonce|passw|secret|session|signature"
    rb"|token|xsrf|etag|location|match|trace|-id$|-ip$"
)
MAX_REMEMBERED = 192


def worth_remembering(name: bytes) -> bool:
    """Tell whether fields called `name` come back and identify nobody."""
    return PRIVATE.search(name) is None


def read_name(raw: bytes) -> bytes:
    """Return a field's name in lower case; raises MalformedMessage if it is not a token."""
    name = raw.lower()
    if not is_name(name):
        raise MalformedMessage("not a header field")
    return name


def read_field(line: bytes) -> Field:
    """Take a line apart: name in lower case, value trimmed; raises MalformedMessage."""
    raw, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not is_value(value):
        raise MalformedMessage("not a header field")
    return read_name(raw), value


class Name(NamedTuple, Generic[M]):
    """What the name of a field decides, as it came: how to read it, and whether to remember it."""

    lower: bytes
    reader: Reader[M] | None
    remember: bool


class FieldReader(Generic[M]):
    """Reads lines as `read_field` does, or as marks, and tells which are worth remembering.

    `marks` are the readers of the fields that are not forwarded. It remembers names, which keep
    coming back even where values do not.
    """

    def __init__(self, marks: Mapping[bytes, Reader[M]]) -> None:
        self._marks = marks
        self._names = Memo(self._read_name)

    def __call__(self, line: bytes) -> tuple[Field | Mark[M], bool]:
        raw, colon, value = line.partition(b":")
        name, reader, keep = self._names[raw]
        value = value.strip(b" \t")
        if not colon or not is_value(value):
            raise MalformedMessage("not a header field")
        if len(line) > MAX_REMEMBERED:
            keep = False
        return (name, value) if reader is None else reader(value), keep

    def _read_name(self, raw: bytes) -> tuple[Name[M], bool]:
        lower = read_name(raw)
        name = Name(lower, self._marks.get(lower), worth_remembering(lower))
        return name, len(raw) <= MAX_REMEMBERED


class FieldWriter:
    """Writes fields as lines, CRLF included, and tells which are worth remembering.

    Raises UnsafeMessage for what would read as something else, and for `reserved` names: those
    speak for the framing and the hop, which are not the sender of a field's to state.
    """

    def __init__(self, reserved: Container[bytes]) -> None:
        self._reserved = reserved
        self._names = Memo(self._check_name)

    def __call__(self, field: Field) -> tuple[bytes, bool]:
        name, value = field
        keep = self._names[name]
        if not is_value(value):
            raise UnsafeMessage(f"control character in the header field {name.decode()}")
        line = b"%b: %b\r\n" % field
        return line, keep and len(line) <= MAX_REMEMBERED

    def _check_name(self, name: bytes) -> tuple[bool, bool]:
        if not is_name(name):
            raise UnsafeMessage(f"not the name of a header field: {name!r}")
        if name in self._reserved:
            raise UnsafeMessage(f"{name.decode()} is set by the codec, not as a header field")
        return worth_remembering(name), len(name) <= MAX_REMEMBERED
