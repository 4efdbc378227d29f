"""The client's side of HTTP/2: we open streams, each gets a response (RFC 9113)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.connection import Connection
from trioproxy.codec.h2.errors import StreamFailure
from trioproxy.codec.h2.events import ErrorCode, ResponseReceived
from trioproxy.codec.h2.heads import read_response
from trioproxy.codec.h2.known import Known, same_response
from trioproxy.codec.h2.settings import announce
from trioproxy.codec.h2.streams import Stream

if TYPE_CHECKING:
    from trioproxy.codec.h2.codec import Codec
    from trioproxy.codec.h2.limits import Limits
    from trioproxy.codec.messages import Request, Response


class ClientConnection(Connection):
    """An upstream connection: `send_request` opens streams."""

    def __init__(self, limits: Limits, codec: Codec) -> None:
        super().__init__(limits, codec, codec.responses, b"")
        self._out += [frames.PREFACE, announce(limits, server=False)]
        self._next = 1
        self._known: Known[Response] = Known(self._decoder)

    @property
    def can_open(self) -> bool:
        """Whether a stream can be opened: room for it, no GOAWAY, numbers left."""
        return (
            len(self._streams) < self.peer.max_streams
            and not self.goaway_received
            and not self.failed
            and self._next <= frames.MAX_STREAM_ID
        )

    @property
    def extended_connect(self) -> bool:
        """Whether the server takes CONNECT with :protocol (RFC 8441)."""
        return self.peer.extended_connect

    def send_request(self, request: Request, *, ended: bool = False) -> int:
        """Open a stream; returns its number. `ended`: there is no body. Raises UnsafeMessage.

        Only where `can_open`. An extended CONNECT is one with a `request.upgrade`.
        """
        block = self.codec.encode_request(request, self._encoder)
        stream_id = self._next
        self._next += 2
        self._write_block(stream_id, block, ended=ended)
        room = self.peer.initial_window
        stream = Stream(request.method, room, receiving=True, sending=not ended)
        self._streams[stream_id] = stream
        return stream_id

    def _on_block(self, stream_id: int, block: bytes, ended: bool) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            self._decode(block)
            self._on_stray(stream_id)
        elif stream.headed:
            self._on_trailers(stream_id, stream, block, ended)
        else:
            self._on_response(stream_id, stream, block, ended)

    def _on_response(self, stream_id: int, stream: Stream, block: bytes, ended: bool) -> None:
        try:
            response = self._read(block, stream.method, ended)
        except MalformedMessage as error:
            raise StreamFailure(stream_id, ErrorCode.PROTOCOL_ERROR, error.detail) from error
        if response.status >= 200:
            stream.headed = True
            stream.expected = _expected(response, stream.method)
        self._events.append(ResponseReceived(stream_id, response, ended))
        if ended:
            self._received_end(stream_id, stream)

    def _read(self, block: bytes, method: str, ended: bool) -> Response:
        """Return the response that a block says; raises MalformedMessage, ConnectionFailure."""
        key = (block, ended, method)
        known = self._known.get(key)
        if known is not None:
            return same_response(known)
        entries = self._decode(block)
        if self._decoder.overflow:
            raise MalformedMessage("the header list is too large")
        response = read_response(entries, method, ended=ended)
        return same_response(response) if self._known.put(key, response) else response

    def _lose_beyond(self, last: int) -> None:
        for stream_id in [each for each in self._streams if each > last]:
            self._lose(stream_id, ErrorCode.REFUSED_STREAM, "beyond the last stream of GOAWAY")

    def _is_idle(self, stream_id: int) -> bool:
        return stream_id >= self._next or not stream_id & 1


def _expected(response: Response, method: str) -> int:
    """Return how long the body has to be; -1 where it may be of any length."""
    if method == "HEAD" or response.status in (204, 304):
        return 0
    if response.bodiless or response.content_length is None:
        return -1
    return response.content_length
