"""The fields that frame a message or concern one hop alone, each read into what it marks.

A reader checks a value once and returns a mark: a function that tells a message what the field
said, and refuses what may not be said twice. Marks are never forwarded as fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.messages import Message, Request, Response
from trioproxy.codec.startline import read_authority
from trioproxy.headers import is_name

M = TypeVar("M", bound=Message)
Mark = Callable[[M], None]
Reader = Callable[[bytes], Mark[M]]

MAX_LENGTH_DIGITS = 18
PROTOCOLS = re.compile(r"[!#$%&'*+.^_`|~0-9a-z/, \t-]+")


def host(value: bytes) -> Mark[Request]:
    """Host: exactly one, and valid (RFC 9112 section 3.2)."""
    if not value.isascii():
        raise MalformedMessage("not a valid host")
    authority = read_authority(value.decode())

    def tell(request: Request) -> None:
        if request.authority:
            raise MalformedMessage("more than one Host")
        request.authority = authority

    return tell


def content_length(value: bytes) -> Mark[Message]:
    """Content-Length: one number; a list is refused even if its members agree."""
    if not value.isdigit() or len(value) > MAX_LENGTH_DIGITS:
        raise MalformedMessage("not a valid Content-Length")
    length = int(value)

    def tell(message: Message) -> None:
        if message.content_length is not None:
            raise MalformedMessage("more than one Content-Length")
        message.content_length = length

    return tell


def transfer_encoding(value: bytes) -> Mark[Message]:
    """Transfer-Encoding: `chunked` and nothing else."""
    codings = value.lower()
    if codings != b"chunked":
        last = codings.rpartition(b",")[2].strip(b" \t")
        raise MalformedMessage("unknown transfer coding", 501 if last == b"chunked" else 400)

    def tell(message: Message) -> None:
        if message.chunked:
            raise MalformedMessage("more than one Transfer-Encoding")
        message.chunked = True

    return tell


def connection(value: bytes) -> Mark[Message]:
    """Connection: a list of options, some of which name fields that end here."""
    options = frozenset(option.strip(b" \t") for option in value.lower().split(b",")) - {b""}
    if not all(map(is_name, options)):
        raise MalformedMessage("not a valid Connection option")

    def tell(message: Message) -> None:
        message.connection |= options

    return tell


def upgrade(value: bytes) -> Mark[Message]:
    """Upgrade: the protocols on offer; void unless Connection says so too."""
    protocols = value.lower().decode("latin-1")
    if PROTOCOLS.fullmatch(protocols) is None:
        raise MalformedMessage("not a valid Upgrade")

    def tell(message: Message) -> None:
        message.upgrade = f"{message.upgrade}, {protocols}" if message.upgrade else protocols

    return tell


def expect(value: bytes) -> Mark[Request]:
    """Expect: only 100-continue can be met (RFC 9110 section 10.1.1)."""
    if value.lower() != b"100-continue":
        raise MalformedMessage("unknown expectation", 417)

    def tell(request: Request) -> None:
        request.expect_continue = True

    return tell


def te(value: bytes) -> Mark[Request]:
    """TE: of the codings on offer only trailers matter here."""
    trailers = b"trailers" in [coding.strip(b" \t") for coding in value.lower().split(b",")]

    def tell(request: Request) -> None:
        request.te_trailers |= trailers

    return tell


def hop_only(value: bytes) -> Mark[Message]:
    """Keep-Alive, Proxy-Connection: nothing that this proxy heeds, and nobody else's business."""
    del value

    def tell(message: Message) -> None:
        del message

    return tell


OF_MESSAGES: dict[bytes, Reader[Message]] = {
    b"content-length": content_length,
    b"transfer-encoding": transfer_encoding,
    b"connection": connection,
    b"upgrade": upgrade,
    b"keep-alive": hop_only,
    b"proxy-connection": hop_only,
}
OF_RESPONSES: dict[bytes, Reader[Response]] = {**OF_MESSAGES}
OF_REQUESTS: dict[bytes, Reader[Request]] = {
    **OF_MESSAGES,
    b"host": host,
    b"expect": expect,
    b"te": te,
}
