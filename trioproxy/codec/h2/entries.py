"""What header fields mean in HTTP/2 (RFC 9113 section 8): plain fields, and marks on a draft.

Fields that are not forwarded as they came tell a `Draft` what they say. So do malformed ones, by
raising: the compression state outlives the stream whose fields are wrong, so that nothing can be
refused before the whole block is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.fields import MAX_REMEMBERED, worth_remembering
from trioproxy.codec.h2.tables import OVERHEAD, STATIC
from trioproxy.codec.marks import MAX_LENGTH_DIGITS, PROTOCOLS
from trioproxy.codec.memo import Memo
from trioproxy.codec.startline import METHOD, VISIBLE, read_authority
from trioproxy.headers import Field, is_name, is_value

FIELD: Final = 0  # goes into the headers as it is
MARK: Final = 1  # tells the draft
PSEUDO: Final = 2  # tells the draft, and stands before all that does not

METHODS = re.compile(METHOD)
PATHS = re.compile(rf"/{VISIBLE}*|\*")
SCHEMES = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}")
STATUSES = re.compile(rb"[1-9][0-9]{2}")


class Draft:
    """What was said so far of a message: empty or -1 where nothing was."""

    __slots__ = (
        "authority",
        "content_length",
        "cookies",
        "expect_continue",
        "host",
        "method",
        "path",
        "protocol",
        "scheme",
        "status",
        "te_trailers",
    )

    def __init__(self) -> None:
        self.method = self.scheme = self.authority = self.path = self.protocol = ""
        self.host = ""
        self.status = self.content_length = -1
        self.te_trailers = self.expect_continue = False
        self.cookies: list[bytes] = []


Tell = Callable[[Draft], None]
Reader = Callable[[bytes], Tell]


class Entry:
    """A field with its meaning and its size in a table."""

    __slots__ = ("field", "kind", "size", "tell")

    def __init__(self, field: Field, kind: int, tell: Tell) -> None:
        self.field = field
        self.kind = kind
        self.tell = tell
        self.size = len(field[0]) + len(field[1]) + OVERHEAD


class Name:
    """What the name of a field decides; `keep`: fields with it come back and identify nobody."""

    __slots__ = ("keep", "kind", "reader")

    def __init__(self, kind: int, reader: Reader | None, *, keep: bool) -> None:
        self.kind = kind
        self.reader = reader
        self.keep = keep


class EntryReader:
    """Makes entries out of fields, for requests or for responses by the readers it is given.

    Those that keep coming back are remembered; `static` are those of the static table.
    """

    def __init__(self, pseudo: dict[bytes, Reader], marks: dict[bytes, Reader]) -> None:
        self._pseudo = pseudo
        self._marks = marks
        self._names = Memo(self._read_name)
        self.entries = Memo(self._read)
        self.static = [self.entries[field] for field in STATIC]

    def _read(self, field: Field) -> tuple[Entry, bool]:
        name, value = field
        known = self._names[name]
        if not is_value(value) or value != value.strip(b" \t"):
            tell = malformed("a field value with illegal characters")
            return Entry(field, MARK, tell), False
        if known.reader is None:
            entry = Entry(field, FIELD, nothing)
        else:
            entry = Entry(field, known.kind, _read(known.reader, value))
        # A target with a query hardly comes back, and carries secrets at times.
        return entry, known.keep and len(value) <= MAX_REMEMBERED and b"?" not in value

    def _read_name(self, name: bytes) -> tuple[Name, bool]:
        short = len(name) <= MAX_REMEMBERED
        if name[:1] == b":":
            return Name(PSEUDO, self._pseudo.get(name, unknown), keep=True), short
        if not is_name(name):
            return Name(MARK, misnamed, keep=False), short
        reader = self._marks.get(name)
        keep = worth_remembering(name)
        return Name(FIELD if reader is None else MARK, reader, keep=keep), short


def _read(reader: Reader, value: bytes) -> Tell:
    try:
        return reader(value)
    except MalformedMessage as error:
        return malformed(error.detail, error.status)


def malformed(detail: str, status: int = 400) -> Tell:
    """Return what makes the message that has such a field malformed."""

    def tell(draft: Draft) -> None:
        raise MalformedMessage(detail, status)

    return tell


def nothing(draft: Draft) -> None:
    """Say nothing: an ordinary field."""


def unknown(value: bytes) -> Tell:
    """A pseudo-header field that is not defined, or not for this direction (section 8.3)."""
    raise MalformedMessage("an undefined pseudo-header field")


def misnamed(value: bytes) -> Tell:
    """A name that is no token, or not in lower case (section 8.2.1)."""
    raise MalformedMessage("not a header field name in lower case")


def method(value: bytes) -> Tell:
    """:method (section 8.3.1)."""
    said = _fit(METHODS, value, "not a method")

    def tell(draft: Draft) -> None:
        _only_once(draft.method)
        draft.method = said

    return tell


def scheme(value: bytes) -> Tell:
    """:scheme; of any kind, for gateways exist to more than http."""
    said = _fit(SCHEMES, value, "not a scheme").lower()

    def tell(draft: Draft) -> None:
        _only_once(draft.scheme)
        draft.scheme = said

    return tell


def authority(value: bytes) -> Tell:
    """:authority, without user information."""
    said = read_authority(value.decode("latin-1"))

    def tell(draft: Draft) -> None:
        _only_once(draft.authority)
        draft.authority = said

    return tell


def path(value: bytes) -> Tell:
    """:path in origin form with its query, or `*`."""
    said = _fit(PATHS, value, "not a path")

    def tell(draft: Draft) -> None:
        _only_once(draft.path)
        draft.path = said

    return tell


def protocol(value: bytes) -> Tell:
    """:protocol (RFC 8441 section 4)."""
    said = _fit(PROTOCOLS, value, "not a protocol").lower()

    def tell(draft: Draft) -> None:
        _only_once(draft.protocol)
        draft.protocol = said

    return tell


def status(value: bytes) -> Tell:
    """:status; 101 does not exist in HTTP/2 (section 8.6)."""
    if STATUSES.fullmatch(value) is None or value == b"101":
        raise MalformedMessage("not a status")
    said = int(value)

    def tell(draft: Draft) -> None:
        if draft.status >= 0:
            raise MalformedMessage("a pseudo-header field twice")
        draft.status = said

    return tell


def host(value: bytes) -> Tell:
    """Host: has to agree with :authority, or stands for it."""
    said = read_authority(value.decode("latin-1"))

    def tell(draft: Draft) -> None:
        if draft.host:
            raise MalformedMessage("more than one Host")
        draft.host = said

    return tell


def content_length(value: bytes) -> Tell:
    """Content-Length: one number."""
    if not value.isdigit() or len(value) > MAX_LENGTH_DIGITS:
        raise MalformedMessage("not a valid Content-Length")
    length = int(value)

    def tell(draft: Draft) -> None:
        if draft.content_length >= 0:
            raise MalformedMessage("more than one Content-Length")
        draft.content_length = length

    return tell


def expect(value: bytes) -> Tell:
    """Expect: only 100-continue can be met (RFC 9110 section 10.1.1)."""
    if value.lower() != b"100-continue":
        raise MalformedMessage("unknown expectation", 417)

    def tell(draft: Draft) -> None:
        draft.expect_continue = True

    return tell


def te(value: bytes) -> Tell:
    """TE: `trailers` and nothing else (section 8.2.2)."""
    if value.lower() != b"trailers":
        raise MalformedMessage("TE other than trailers")

    def tell(draft: Draft) -> None:
        draft.te_trailers = True

    return tell


def cookie(value: bytes) -> Tell:
    """Cookie: may come in crumbs (section 8.2.3)."""

    def tell(draft: Draft) -> None:
        draft.cookies.append(value)

    return tell


def connection_specific(value: bytes) -> Tell:
    """Connection, Upgrade and the like: not in HTTP/2 (section 8.2.2)."""
    raise MalformedMessage("a connection-specific header field")


def _fit(pattern: re.Pattern[str], value: bytes, complaint: str) -> str:
    text = value.decode("latin-1")
    if pattern.fullmatch(text) is None:
        raise MalformedMessage(complaint)
    return text


def _only_once(said: str) -> None:
    if said:
        raise MalformedMessage("a pseudo-header field twice")


FORBIDDEN = (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
OF_MESSAGES: dict[bytes, Reader] = {
    **dict.fromkeys(FORBIDDEN, connection_specific),
    b"content-length": content_length,
    b"te": te,
}
OF_REQUESTS = {**OF_MESSAGES, b"host": host, b"expect": expect, b"cookie": cookie}
REQUEST_PSEUDO: dict[bytes, Reader] = {
    b":method": method,
    b":scheme": scheme,
    b":authority": authority,
    b":path": path,
    b":protocol": protocol,
}
RESPONSE_PSEUDO: dict[bytes, Reader] = {b":status": status}
