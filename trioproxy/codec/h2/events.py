"""What `Connection.receive` reports, each with the stream that it is about (0: the connection)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.codec.messages import Request, Response
    from trioproxy.headers import Headers


class ErrorCode(enum.IntEnum):
    """Why a stream or a connection ends early (RFC 9113 section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class Event:
    """Something that the peer did."""

    __slots__ = ("stream_id",)

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} stream {self.stream_id}>"


class RequestReceived(Event):
    """A server's peer opened a stream; `ended`: there is no body."""

    __slots__ = ("ended", "request")

    def __init__(self, stream_id: int, request: Request, ended: bool) -> None:
        self.stream_id = stream_id
        self.request = request
        self.ended = ended


class RequestRejected(Event):
    """A request that nobody needs to see was answered or reset already: for the log alone.

    `status` is 400 where it was malformed, 503 where it was one stream too many: those were reset,
    the latter so that it can be tried again. With others (417, 431) it was answered.
    """

    __slots__ = ("detail", "status")

    def __init__(self, stream_id: int, status: int, detail: str) -> None:
        self.stream_id = stream_id
        self.status = status
        self.detail = detail


class ResponseReceived(Event):
    """A response head, interim ones (1xx) included; `ended`: there is no body."""

    __slots__ = ("ended", "response")

    def __init__(self, stream_id: int, response: Response, ended: bool) -> None:
        self.stream_id = stream_id
        self.response = response
        self.ended = ended


class DataReceived(Event):
    """A piece of a body, to be acknowledged once consumed; may be empty where it has `ended`."""

    __slots__ = ("data", "ended")

    def __init__(self, stream_id: int, data: bytes, ended: bool) -> None:
        self.stream_id = stream_id
        self.data = data
        self.ended = ended


class TrailersReceived(Event):
    """The fields behind a body, which has ended with them."""

    __slots__ = ("trailers",)

    def __init__(self, stream_id: int, trailers: Headers) -> None:
        self.stream_id = stream_id
        self.trailers = trailers


class StreamReset(Event):
    """A stream is over before its end; nothing can be sent on it any more.

    `by_peer` tells who ended it: the peer by RST_STREAM or GOAWAY, or this side because of what the
    peer sent, which `detail` says. REFUSED_STREAM by the peer means that it did nothing for it: any
    request can be tried again. NO_ERROR by a server: it has responded in full and wants no more of
    the body.
    """

    __slots__ = ("by_peer", "code", "detail")

    def __init__(self, stream_id: int, code: int, detail: str, by_peer: bool) -> None:
        self.stream_id = stream_id
        self.code = code
        self.detail = detail
        self.by_peer = by_peer


class WindowOpened(Event):
    """More can be sent on a stream on which `send_data` took less than it was given."""

    __slots__ = ()


class SettingsReceived(Event):
    """The peer's settings changed, and with them perhaps `peer.max_streams`."""

    __slots__ = ()


class PingAnswered(Event):
    """The peer answered a PING with these 8 bytes."""

    __slots__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.stream_id = 0
        self.payload = payload


class GoawayReceived(Event):
    """The peer takes no new streams; those of ours that it ignores have been reset before this."""

    __slots__ = ("code", "debug", "last_stream_id")

    def __init__(self, last_stream_id: int, code: int, debug: bytes) -> None:
        self.stream_id = 0
        self.last_stream_id = last_stream_id
        self.code = code
        self.debug = debug


class ConnectionFailed(Event):
    """The peer broke the protocol: the last event there is. GOAWAY is in `data_to_send()`.

    `limit` names the field of Limits that the peer exceeded, empty if it was none.
    """

    __slots__ = ("code", "detail", "limit")

    def __init__(self, code: int, detail: str, limit: str) -> None:
        self.stream_id = 0
        self.code = code
        self.detail = detail
        self.limit = limit
