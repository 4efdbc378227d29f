"""Field lines, in and out, and which of them are worth remembering (RFC 9112 section 5).

Clients and servers repeat the same lines on every message, so the codec keeps a memo from a line
to what it means, and from a field to its line. What identifies somebody or never comes back is
not kept: it would lie in memory long after its exchange, and push out what is of use.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trioproxy.codec.errors import MalformedMessage, UnsafeMessage
from trioproxy.headers import Field, is_name, is_value

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from trioproxy.codec.marks import M, Mark, Reader

PRIVATE = re.compile(
    rb"auth|cookie|token|secret|key|passw|session|signature|credential|csrf|xsrf|jwt|cert"
    rb"|-id$|-ip$|forwarded|trace|etag|match|location|nonce"
)
MAX_REMEMBERED = 192


def read_field(line: bytes) -> Field:
    """Take a field line apart: name in lower case, value trimmed; raises MalformedMessage."""
    name, colon, value = line.partition(b":")
    name = name.lower()
    value = value.strip(b" \t")
    if not colon or not is_name(name):
        raise MalformedMessage("not a header field")
    if not is_value(value):
        raise MalformedMessage("control character in a header field")
    return name, value


def line_reader(marks: Mapping[bytes, Reader[M]]) -> Callable[[bytes], Field | Mark[M]]:
    """Return a function that reads a line as a field, or as a mark where `marks` has its name."""

    def read(line: bytes) -> Field | Mark[M]:
        field = read_field(line)
        reader = marks.get(field[0])
        return field if reader is None else reader(field[1])

    return read


def line_writer(reserved: Container[bytes]) -> Callable[[Field], bytes]:
    """Return a function that writes a field as a line, CRLF included.

    It raises UnsafeMessage for what would read as something else, and for `reserved` names: those
    speak for the framing and the hop, which are not the sender of a field's to state.
    """

    def write(field: Field) -> bytes:
        name, value = field
        if not is_name(name) or not is_value(value):
            raise UnsafeMessage(f"not a header field: {name!r}")
        if name in reserved:
            raise UnsafeMessage(f"{name.decode()} is set by the codec, not as a header field")
        return b"%b: %b\r\n" % field

    return write


def worth_reading(line: bytes, entry: object) -> bool:
    """Tell whether `line` should be remembered."""
    if len(line) > MAX_REMEMBERED:
        return False
    return not isinstance(entry, tuple) or PRIVATE.search(line.partition(b":")[0].lower()) is None


def worth_writing(field: Field, line: bytes) -> bool:
    """Tell whether `field` should be remembered."""
    return len(line) <= MAX_REMEMBERED and PRIVATE.search(field[0]) is None
