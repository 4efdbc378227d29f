"""How a connection's owner drives the codec: bytes in any pieces to whole messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioproxy.codec import body
from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioproxy.codec.h1 import Codec
    from trioproxy.codec.messages import Request

CRLF = b"\r\n"


def memo_sizes(codec: Codec) -> list[int]:
    """How many lines, names and the like each of a codec's memos holds."""
    held = [getattr(codec, name) for name in dir(codec)]
    return [len(memo) for memo in held if isinstance(memo, Memo)]


@attrs.define
class Exchange:
    """A request with its body."""

    request: Request
    payload: bytes
    trailers: list[tuple[bytes, bytes]]

    @property
    def said(self) -> tuple[object, ...]:
        """Everything, in a form that compares."""
        names = [name for name in dir(self.request) if not name.startswith("_")]
        request = {name: getattr(self.request, name) for name in names}
        request["headers"] = self.request.headers.fields
        return (request, self.payload, self.trailers)


@attrs.define
class Reader:
    """Reads pipelined requests; `failure` is what stopped it, `left` what it had not used."""

    codec: Codec
    exchanges: list[Exchange] = attrs.field(factory=list)
    failure: MalformedMessage | None = None
    left: bytes = b""
    _head: Request | None = None
    _body: body.Body = attrs.field(factory=body.NoBody)
    _payload: bytes = b""

    def feed(self, pieces: Iterable[bytes]) -> Reader:
        for piece in pieces:
            if self.failure:
                break
            try:
                self._take(piece)
            except MalformedMessage as failure:
                self.failure = failure
        return self

    def _take(self, data: bytes) -> None:
        while data or (self._head and self._body.done):
            if self._head is None:
                data = self._take_head(self.left + data)
            if self._head is None:
                return
            self._payload += self._body.receive(data)
            data = b""
            if self._body.done:
                trailers = self._body.trailers.fields
                self.exchanges.append(Exchange(self._head, self._payload, trailers))
                data, self._head, self._payload = self._body.rest, None, b""

    def _take_head(self, data: bytes) -> bytes:
        start = 2 if data.startswith(CRLF) else 0
        end = data.find(CRLF + CRLF, start)
        if end < 0:
            self.left = data
            return b""
        self._head = self.codec.parse_request(data[start:end])
        self._body = body.decoder(self._head)
        self.left = b""
        return data[end + 4 :]
