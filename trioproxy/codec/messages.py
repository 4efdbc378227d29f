"""A request and a response as the proxy sees them: framing and this hop apart from the rest."""

from __future__ import annotations

import enum

from trioproxy.headers import Headers

NO_OPTIONS: frozenset[bytes] = frozenset()


class Framing(enum.Enum):
    """How the end of a body is told (RFC 9112 section 6.3)."""

    NONE = enum.auto()
    LENGTH = enum.auto()
    CHUNKED = enum.auto()
    UNTIL_CLOSE = enum.auto()


class Message:
    """What requests and responses share.

    `headers` are the end-to-end fields. What frames the body or concerns one hop alone stands in
    attributes, and the codec writes it anew when the message is sent on. `major` and `minor` are
    the version it came in, 2 and 1 for HTTP/2, which then is like HTTP/1.1. `keep_alive` tells
    whether the sender lets its connection live after this message, `connection` which options it
    named, `upgrade` the protocols it offers or takes up, in lower case, empty if none. Who edits
    a body sets `content_length` or `chunked` to match; of both, `chunked` wins.
    """

    __slots__ = (
        "chunked",
        "connection",
        "content_length",
        "headers",
        "keep_alive",
        "major",
        "minor",
        "upgrade",
    )

    def __init__(
        self,
        headers: Headers | None,
        major: int,
        minor: int,
        content_length: int | None,
        chunked: bool,
        upgrade: str,
    ) -> None:
        self.headers = Headers() if headers is None else headers
        self.major = major
        self.minor = minor
        self.content_length = content_length
        self.chunked = chunked
        self.keep_alive = True
        self.upgrade = upgrade
        self.connection = NO_OPTIONS


class Request(Message):
    """A request head.

    `path` is the origin form with its query, `*` for a server-wide OPTIONS and empty for CONNECT;
    `authority` is the host, with a port if one was named, of the target or else of Host, empty
    where an HTTP/1.0 client named none.
    """

    __slots__ = ("authority", "expect_continue", "method", "path", "scheme", "te_trailers")

    def __init__(
        self,
        *,
        headers: Headers | None = None,
        major: int = 1,
        minor: int = 1,
        content_length: int | None = None,
        chunked: bool = False,
        upgrade: str = "",
        method: str = "GET",
        path: str = "/",
        authority: str = "",
        scheme: str = "http",
        expect_continue: bool = False,
        te_trailers: bool = False,
    ) -> None:
        super().__init__(headers, major, minor, content_length, chunked, upgrade)
        self.method = method
        self.path = path
        self.authority = authority
        self.scheme = scheme
        self.expect_continue = expect_continue
        self.te_trailers = te_trailers

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"

    @property
    def framing(self) -> Framing:
        """How the end of the body is told."""
        if self.chunked:
            return Framing.CHUNKED
        return Framing.LENGTH if self.content_length else Framing.NONE


class Response(Message):
    """A response head; `bodiless` if it answers a method that gets no body: HEAD, or a CONNECT
    that succeeded.

    With neither a length nor chunks, a body lasts until the connection closes.
    """

    __slots__ = ("bodiless", "reason", "status")

    def __init__(
        self,
        *,
        status: int,
        headers: Headers | None = None,
        major: int = 1,
        minor: int = 1,
        content_length: int | None = None,
        chunked: bool = False,
        upgrade: str = "",
        reason: str = "",
        bodiless: bool = False,
    ) -> None:
        super().__init__(headers, major, minor, content_length, chunked, upgrade)
        self.status = status
        self.reason = reason
        self.bodiless = bodiless

    def __repr__(self) -> str:
        return f"<Response {self.status}>"

    @property
    def framing(self) -> Framing:
        """How the end of the body is told by whoever sent this."""
        return self.framing_to(self.minor)

    def framing_to(self, minor: int) -> Framing:
        """How the end of the body can be told to a client of HTTP/1.`minor`."""
        status = self.status
        if self.bodiless or status < 200 or status == 204 or status == 304:
            return Framing.NONE
        if self.content_length is not None and not self.chunked:
            return Framing.LENGTH
        return Framing.CHUNKED if self.chunked and minor else Framing.UNTIL_CLOSE
