"""The server's side of HTTP/2: the client opens streams, each gets a response (RFC 9113)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.errors import MalformedMessage, UnsafeMessage
from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.connection import Connection
from trioproxy.codec.h2.errors import ConnectionFailure
from trioproxy.codec.h2.events import ErrorCode, RequestReceived, RequestRejected
from trioproxy.codec.h2.heads import read_request
from trioproxy.codec.h2.known import Known, same_request
from trioproxy.codec.h2.settings import announce
from trioproxy.codec.h2.streams import RESET_BY_US, Stream
from trioproxy.codec.messages import Response

if TYPE_CHECKING:
    from trioproxy.codec.h2.codec import Codec
    from trioproxy.codec.h2.limits import Limits
    from trioproxy.codec.messages import Request


class ServerConnection(Connection):
    """A downstream connection."""

    def __init__(self, limits: Limits, codec: Codec) -> None:
        super().__init__(limits, codec, codec.requests, frames.PREFACE)
        self._out.append(announce(limits, server=True))
        self._known: Known[Request] = Known(self._decoder)

    def send_response(self, stream_id: int, response: Response, *, ended: bool = False) -> bool:
        """Send a response head, or an interim one (1xx); returns whether the stream still was.

        `ended`: there is no body. A stream that ends before its request did is for the owner to
        `reset` with NO_ERROR. Raises UnsafeMessage, having sent nothing.
        """
        stream = self._streams.get(stream_id)
        if stream is None or not stream.sending:
            return False
        interim = response.status < 200
        if stream.answered or (interim and ended):
            raise UnsafeMessage("cannot be sent: a second response, or an end without one")
        block = self.codec.encode_response(response, self._encoder)
        self._write_block(stream_id, block, ended=ended)
        stream.answered = not interim
        if ended:
            self._sent_end(stream_id, stream)
        return True

    def _on_block(self, stream_id: int, block: bytes, ended: bool) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._on_trailers(stream_id, stream, block, ended)
        elif stream_id <= self._highest:
            self._decode(block)
            self._on_stray(stream_id)
        elif not stream_id & 1:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "a stream of even number")
        else:
            self._highest = stream_id
            self._open(stream_id, block, ended)

    def _open(self, stream_id: int, block: bytes, ended: bool) -> None:
        try:
            request = self._read(block, ended)
        except MalformedMessage as error:
            self._reject(stream_id, error, ended)
            return
        if stream_id > self._goaway_sent:
            self._floods.idle()
            return
        if len(self._streams) >= self.limits.max_concurrent_streams:
            self._refuse(stream_id, 503, "too many streams", ErrorCode.REFUSED_STREAM)
            return
        room = self.peer.initial_window
        stream = Stream(request.method, room, receiving=not ended, sending=True)
        stream.headed = True
        if request.content_length is not None:
            stream.expected = request.content_length
        self._streams[stream_id] = stream
        self._events.append(RequestReceived(stream_id, request, ended))

    def _read(self, block: bytes, ended: bool) -> Request:
        """Return the request that a block says; raises MalformedMessage, ConnectionFailure."""
        key = (block, ended, "")
        known = self._known.get(key)
        if known is not None:
            return same_request(known)
        entries = self._decode(block)
        if self._decoder.overflow:
            raise MalformedMessage("the header list is too large", 431)
        request = read_request(entries, ended=ended, extended=self.limits.extended_connect)
        return same_request(request) if self._known.put(key, request) else request

    def _reject(self, stream_id: int, error: MalformedMessage, ended: bool) -> None:
        """Answer what has an answer of its own, and reset the rest (section 8.1.1)."""
        if error.status == 400:
            self._refuse(stream_id, 400, error.detail, ErrorCode.PROTOCOL_ERROR)
            return
        answer = Response(status=error.status, content_length=0)
        block = self.codec.encode_response(answer, self._encoder)
        self._write_block(stream_id, block, ended=True)
        self._refuse(stream_id, error.status, error.detail, None if ended else ErrorCode.NO_ERROR)

    def _refuse(self, stream_id: int, status: int, detail: str, code: int | None) -> None:
        if code is not None:
            self._out.append(frames.write_rst_stream(stream_id, code))
        self._past.add(stream_id, RESET_BY_US)
        self._events.append(RequestRejected(stream_id, status, detail))
        self._floods.reset()

    def _count_reset(self) -> None:
        self._floods.reset()

    def _is_idle(self, stream_id: int) -> bool:
        return stream_id > self._highest or not stream_id & 1
