"""The first line of a message, and what a request aims at (RFC 9112 sections 3 and 4)."""

from __future__ import annotations

import re
from typing import NamedTuple

from trioproxy.codec.errors import MalformedMessage, UnsafeMessage

# Visible ASCII but '#': a fragment is never sent, and what is wider than the URI grammar
# ('|', '[', '"' in queries) is what browsers send.
METHOD = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
VISIBLE = r'[!"$-~]'
REQUEST_LINE = re.compile(rf"({METHOD}) ({VISIBLE}+) HTTP/([0-9])\.([0-9])".encode())
WRITABLE = re.compile(rf"(?:{METHOD} /{VISIBLE}*|OPTIONS \*) HTTP/1\.1")
STATUS_LINE = re.compile(rb"HTTP/([0-9])\.([0-9]) ([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*))?")
ABSOLUTE = re.compile(r"(https?)://([^/?]+)(.*)", re.IGNORECASE)
# Narrower than the grammar, whose ',', ';' and '=' in names serve only those who confuse parsers.
AUTHORITY = re.compile(
    r"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,255})(?::([0-9]{0,5}))?"
)
DEFAULT_PORTS = {"http": "80", "https": "443"}


class RequestLine(NamedTuple):
    """A request line taken apart; `authority` and `scheme` are empty where it names none."""

    method: str
    path: str
    authority: str
    scheme: str
    minor: int


class StatusLine(NamedTuple):
    """A status line taken apart."""

    status: int
    reason: str
    minor: int


def read_request_line(line: bytes) -> RequestLine:
    """Take a request line apart; raises MalformedMessage (400, 505)."""
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise MalformedMessage("not a request line")
    minor = _read_version(match[3], match[4])
    method, target = match[1].decode(), match[2].decode()
    if method == "CONNECT":
        return RequestLine(method, "", read_authority(target, port_needed=True), "", minor)
    if target[0] == "/" or (target == "*" and method == "OPTIONS"):
        return RequestLine(method, target, "", "", minor)
    return _absolute(method, target, minor)


def write_request_line(method: str, path: str, authority: str) -> bytes:
    """Write a request line, without its CRLF; raises UnsafeMessage for what we would not read."""
    connect = method == "CONNECT"
    line = f"{method} {authority if connect else path} HTTP/1.1"
    try:
        if authority or connect:
            read_authority(authority, port_needed=connect)
    except MalformedMessage as error:
        raise UnsafeMessage("cannot be sent: not a valid host") from error
    if not connect and WRITABLE.fullmatch(line) is None:
        raise UnsafeMessage("cannot be sent: not a method and a path")
    return line.encode()


def read_status_line(line: bytes) -> StatusLine:
    """Take a status line apart; raises MalformedMessage."""
    match = STATUS_LINE.fullmatch(line)
    if match is None:
        raise MalformedMessage("not a status line")
    minor = _read_version(match[1], match[2])
    return StatusLine(int(match[3]), (match[4] or b"").decode("latin-1"), minor)


def write_status_line(status: int, reason: str) -> bytes:
    """Write a status line, without its CRLF; raises UnsafeMessage for what we would not read."""
    line = f"HTTP/1.1 {status} {reason}".encode("latin-1", "replace")
    if STATUS_LINE.fullmatch(line) is None:
        raise UnsafeMessage("cannot be sent: not a status and a reason")
    return line


def read_authority(value: str, *, port_needed: bool = False) -> str:
    """Return `value` if it is a host with an optional port; raises MalformedMessage."""
    match = AUTHORITY.fullmatch(value)
    if match is None or int(match[1] or 0) > 65535 or (port_needed and not match[1]):
        raise MalformedMessage("not a valid host")
    return value


def same_authority(target: str, host: str, scheme: str) -> bool:
    """Tell whether Host says what the target says, but for case and the default port.

    A CONNECT target (no scheme) always has a port; clients may leave it out of Host.
    """
    target, host = target.lower(), host.lower()
    port = ":" + (DEFAULT_PORTS[scheme] if scheme else target.rpartition(":")[2])
    return target.removesuffix(port) == host.removesuffix(port)


def _read_version(major: bytes, minor: bytes) -> int:
    if major != b"1" or minor not in b"01":
        raise MalformedMessage("HTTP version not supported", 505)
    return int(minor)


def _absolute(method: str, target: str, minor: int) -> RequestLine:
    match = ABSOLUTE.fullmatch(target)
    if match is None:
        raise MalformedMessage("not a request target")
    scheme, authority, path = match.groups()
    if not path and method == "OPTIONS":
        path = "*"
    elif not path.startswith("/"):
        path = "/" + path
    return RequestLine(method, path, read_authority(authority), scheme.lower(), minor)
