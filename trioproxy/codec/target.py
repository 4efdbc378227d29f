"""The first line of a request and what it aims at (RFC 9112 section 3)."""

from __future__ import annotations

import re
from typing import NamedTuple

from trioproxy.codec.errors import MalformedMessage

# Visible ASCII but '#': a fragment is never sent, and what is wider than the URI grammar
# ('|', '[', '"' in queries) is what browsers send.
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}) ([!\"$-~]+) HTTP/([0-9])\.([0-9])")
ABSOLUTE = re.compile(r"(https?)://([^/?]+)(.*)", re.IGNORECASE)
# Narrower than the grammar, whose ',', ';' and '=' in names serve only those who confuse parsers.
AUTHORITY = re.compile(
    r"(\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,255})(?::([0-9]{0,5}))?"
)
DEFAULT_PORTS = {"http": "80", "https": "443"}


class RequestLine(NamedTuple):
    """A request line taken apart; `authority` and `scheme` are empty where it names none."""

    method: str
    path: str
    authority: str
    scheme: str
    minor: int


def read_request_line(line: bytes) -> RequestLine:
    """Take a request line apart; raises MalformedMessage (400, 505)."""
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise MalformedMessage("not a request line")
    minor = read_version(match[3], match[4])
    method, target = match[1].decode(), match[2].decode()
    if method == "CONNECT":
        return RequestLine(method, "", _tunnel_authority(target), "", minor)
    if target[0] == "/" or (target == "*" and method == "OPTIONS"):
        return RequestLine(method, target, "", "", minor)
    return _absolute(method, target, minor)


def read_version(major: bytes, minor: bytes) -> int:
    """Return the minor of HTTP/1.x; raises MalformedMessage (505) for what is not 1.0 or 1.1."""
    if major != b"1" or minor not in b"01":
        raise MalformedMessage("HTTP version not supported", 505)
    return int(minor)


def read_authority(value: str) -> str:
    """Return `value` if it is a host with an optional port; raises MalformedMessage."""
    match = AUTHORITY.fullmatch(value)
    if match is None or (match[2] and int(match[2]) > 65535):
        raise MalformedMessage("not a valid host")
    return value


def same_authority(target: str, host: str, scheme: str) -> bool:
    """Tell whether Host says what the target says, but for case and the default port.

    A CONNECT target (no scheme) always has a port; clients leave it out of Host.
    """
    target, host = target.lower(), host.lower()
    if target == host:
        return True
    port = ":" + (DEFAULT_PORTS[scheme] if scheme else target.rpartition(":")[2])
    return target.removesuffix(port) == host.removesuffix(port)


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


def _tunnel_authority(target: str) -> str:
    match = AUTHORITY.fullmatch(read_authority(target))
    if match is None or not match[2]:
        raise MalformedMessage("CONNECT needs a host and a port")
    return target
