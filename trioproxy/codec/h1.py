"""The HTTP/1.1 codec: heads to messages and back, strict by RFC 9112 and RFC 9110.

A head is what stands before the first CRLF CRLF, which the owner of the buffer finds; it also
bounds a head's size, and drops one CRLF that stands before a request (RFC 9112 section 2.2). Line
ends are CRLF and nothing else: a bare CR or LF is an illegal character wherever it stands.

Whatever leads two parsers to see different messages in the same bytes is refused, not repaired.
Nothing is forwarded as it came: heads are written from what was understood. Bodies: `body`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec import fields, marks
from trioproxy.codec.errors import MalformedMessage, UnsafeMessage
from trioproxy.codec.memo import Memo
from trioproxy.codec.messages import Framing, Message, Request, Response
from trioproxy.codec.startline import (
    RequestLine,
    StatusLine,
    read_request_line,
    read_status_line,
    same_authority,
    write_request_line,
    write_status_line,
)
from trioproxy.headers import Field, Headers

if TYPE_CHECKING:
    from trioproxy.codec.marks import M, Mark

CRLF = b"\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
# Options with a meaning of their own: they nominate no field, or one that ends here anyway.
OWN_OPTIONS = frozenset([b"close", b"keep-alive", b"upgrade", b"te"])


class Codec:
    """One worker's reader and writer of heads; it remembers the lines that keep coming back."""

    def __init__(self, max_fields: int = 100) -> None:
        self._max_lines = max_fields + 1
        self._request_lines = Memo(_read_request_line)
        self._request_fields = Memo(fields.FieldReader(marks.OF_REQUESTS))
        self._request_starts = Memo(_write_request_start)
        self._request_wire = Memo(fields.FieldWriter(marks.OF_REQUESTS))
        self._status_lines = Memo(_read_status_line)
        self._response_fields = Memo(fields.FieldReader(marks.OF_RESPONSES))
        self._response_starts = Memo(_write_status_line)
        self._response_wire = Memo(fields.FieldWriter(marks.OF_RESPONSES))

    def parse_request(self, head: bytes) -> Request:
        """Read a request head; raises MalformedMessage (400, 417, 431, 501, 505)."""
        lines = head.split(CRLF)
        method, path, authority, scheme, minor = self._request_lines[lines[0]]
        request = Request(method=method, path=path, minor=minor)
        self._read_fields(lines, self._request_fields, request)
        if authority:
            _aim(request, authority, scheme)
        elif minor and not request.authority:
            raise MalformedMessage("no Host")
        if request.chunked:
            _check_chunked(request)
        if method == "CONNECT" and (request.chunked or request.content_length is not None):
            raise MalformedMessage("CONNECT has no body")
        if request.connection or request.upgrade or not minor:
            _settle_hop(request)
            request.expect_continue = request.expect_continue and minor > 0
        return request

    def parse_response(self, head: bytes, method: str) -> Response:
        """Read the head of a response to a `method` request; raises MalformedMessage."""
        lines = head.split(CRLF)
        status, reason, minor = self._status_lines[lines[0]]
        response = Response(status=status, reason=reason, minor=minor)
        self._read_fields(lines, self._response_fields, response)
        if response.chunked:
            _check_chunked(response)
        if response.connection or response.upgrade or not minor:
            _settle_hop(response)
        tunnel = method == "CONNECT" and status < 300
        response.bodiless = tunnel or method == "HEAD"
        if tunnel or status < 200 or status == 204:
            _forget_framing(response)
        if response.framing_to(minor) is Framing.UNTIL_CLOSE:
            response.keep_alive = False
        return response

    def encode_request(self, request: Request, *, keep_alive: bool = True) -> bytes:
        """Write a request head, its closing empty line included.

        `keep_alive`: whether the connection to the server may live on. Raises UnsafeMessage.
        """
        parts = [self._request_starts[request.method, request.path, request.authority]]
        parts += map(self._request_wire.__getitem__, request.headers.fields)
        if request.chunked:
            parts.append(CHUNKED)
        elif request.content_length is not None:
            parts.append(_length(request.content_length))
        if request.expect_continue:
            parts.append(b"expect: 100-continue\r\n")
        if request.upgrade or request.te_trailers or not keep_alive:
            parts.append(_hop(request.upgrade, te=request.te_trailers, close=not keep_alive))
        parts.append(CRLF)
        return b"".join(parts)

    def encode_response(
        self, response: Response, *, minor: int = 1, keep_alive: bool = True
    ) -> bytes:
        """Write a response head for a client of HTTP/1.`minor`, its closing empty line included.

        The body is framed as `response.framing_to(minor)` says; where that is UNTIL_CLOSE the head
        says `close` whatever `keep_alive` is. Raises UnsafeMessage.
        """
        parts = [self._response_starts[response.status, response.reason]]
        parts += map(self._response_wire.__getitem__, response.headers.fields)
        parts.append(_response_framing(response, minor))
        if response.framing_to(minor) is Framing.UNTIL_CLOSE:
            keep_alive = False
        if response.upgrade and response.status in (101, 426):
            parts.append(_hop(response.upgrade, close=not keep_alive))
        elif not keep_alive:
            parts.append(b"connection: close\r\n")
        elif not minor:
            parts.append(b"connection: keep-alive\r\n")
        parts.append(CRLF)
        return b"".join(parts)

    def _read_fields(
        self, lines: list[bytes], memo: Memo[bytes, Field | Mark[M]], message: M
    ) -> None:
        if len(lines) > self._max_lines:
            raise MalformedMessage(f"more than {self._max_lines - 1} header fields", 431)
        found: list[Field] = []
        rest = iter(lines)
        next(rest)
        for line in rest:
            entry = memo[line]
            if isinstance(entry, tuple):
                found.append(entry)
            else:
                entry(message)
        message.headers = Headers(found)


def _aim(request: Request, authority: str, scheme: str) -> None:
    """Let the target's authority stand; a Host that says something else is refused."""
    if not request.authority:
        if request.minor:
            raise MalformedMessage("no Host")
    elif not same_authority(authority, request.authority, scheme):
        raise MalformedMessage("Host differs from the request target")
    request.authority = authority
    request.scheme = scheme or request.scheme


def _check_chunked(message: Message) -> None:
    if message.content_length is not None:
        raise MalformedMessage("both Transfer-Encoding and Content-Length")
    if not message.minor:
        raise MalformedMessage("Transfer-Encoding in HTTP/1.0")


def _settle_hop(message: Message) -> None:
    """Let Connection have its say: it may end the connection, and fields that it names."""
    options = message.connection
    message.keep_alive = b"close" not in options and (message.minor > 0 or b"keep-alive" in options)
    if b"upgrade" not in options or not message.minor:
        message.upgrade = ""
    nominated = options - OWN_OPTIONS
    if nominated:
        headers = message.headers
        headers.fields = [field for field in headers.fields if field[0] not in nominated]


def _forget_framing(response: Response) -> None:
    """Drop what may not frame this response; a server that meant it is not to be used again."""
    if response.content_length or response.chunked:
        response.keep_alive = False
    response.content_length = None
    response.chunked = False


def _read_request_line(line: bytes) -> tuple[RequestLine, bool]:
    # A target with a query hardly comes back, and carries secrets at times.
    return read_request_line(line), len(line) <= fields.MAX_REMEMBERED and b"?" not in line


def _read_status_line(line: bytes) -> tuple[StatusLine, bool]:
    return read_status_line(line), len(line) <= fields.MAX_REMEMBERED


def _write_request_start(start: tuple[str, str, str]) -> tuple[bytes, bool]:
    method, path, authority = start
    line = write_request_line(method, path, authority)
    keep = len(line) + len(authority) <= fields.MAX_REMEMBERED and b"?" not in line
    return b"%b\r\nhost: %b\r\n" % (line, authority.encode()), keep


def _write_status_line(start: tuple[int, str]) -> tuple[bytes, bool]:
    line = write_status_line(*start)
    return line + CRLF, len(line) <= fields.MAX_REMEMBERED


def _response_framing(response: Response, minor: int) -> bytes:
    """The field that frames a response: at most one, none at all for 1xx and 204."""
    if response.status < 200 or response.status == 204:
        return b""
    if response.chunked:
        return CHUNKED if minor else b""
    return b"" if response.content_length is None else _length(response.content_length)


def _length(length: int) -> bytes:
    if length < 0:
        raise UnsafeMessage("a negative length")
    return b"content-length: %d\r\n" % length


def _hop(upgrade: str, *, te: bool = False, close: bool) -> bytes:
    """The Connection field with what it nominates."""
    options: list[bytes] = []
    nominated: list[bytes] = []
    if close:
        options.append(b"close")
    if te:
        options.append(b"te")
        nominated.append(b"te: trailers\r\n")
    if upgrade:
        if not marks.PROTOCOLS.fullmatch(upgrade):
            raise UnsafeMessage("not a protocol that can be sent in Upgrade")
        options.append(b"upgrade")
        nominated.append(b"upgrade: %b\r\n" % upgrade.encode())
    return b"connection: %b\r\n%b" % (b", ".join(options), b"".join(nominated))
