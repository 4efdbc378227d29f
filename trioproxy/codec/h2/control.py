"""Frames about the connection, and about streams rather than on them (RFC 9113 section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.errors import ConnectionFailure, StreamFailure
from trioproxy.codec.h2.events import (
    ConnectionFailed,
    ErrorCode,
    GoawayReceived,
    PingAnswered,
    SettingsReceived,
    StreamReset,
)
from trioproxy.codec.h2.sending import Sender
from trioproxy.codec.h2.streams import NEVER_OPENED, RESET_BY_PEER, RESET_BY_US

if TYPE_CHECKING:
    from trioproxy.codec.h2.codec import Codec
    from trioproxy.codec.h2.decoder import Decoder
    from trioproxy.codec.h2.limits import Limits


class Control(Sender):
    """What `Connection` inherits: all frames in but those of messages."""

    def __init__(self, limits: Limits, codec: Codec, decoder: Decoder) -> None:
        super().__init__(limits, codec)
        self.settled = False
        self.goaway_received = False
        self._decoder = decoder
        self._greeted = False  # its SETTINGS, which have to come first, are here

    def check_dependency(self, stream_id: int, priority: bytes) -> None:
        """Check what is otherwise ignored (RFC 7540 section 5.3.1): no stream depends on itself."""
        (parent,) = frames.WORD.unpack_from(priority)
        if parent & frames.MAX_STREAM_ID == stream_id:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")

    def _on_control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == frames.WINDOW_UPDATE:
            self._on_window_update(stream_id, payload)
        elif kind == frames.RST_STREAM:
            self._on_rst_stream(stream_id, payload)
        elif kind == frames.PRIORITY:
            self._on_priority(stream_id, payload)
        elif kind == frames.PUSH_PROMISE:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE that nobody allowed")
        elif kind > frames.CONTINUATION:
            self._floods.idle()
        elif stream_id:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "belongs on stream 0")
        else:
            self._on_connection(kind, flags, payload)

    def _on_connection(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == frames.SETTINGS:
            self._on_settings(flags, payload)
        elif kind == frames.PING:
            self._on_ping(flags, payload)
        else:
            self._on_goaway(payload)

    def _on_window_update(self, stream_id: int, payload: bytes) -> None:
        increment = _word(payload) & frames.MAX_WINDOW
        self._floods.window_update()
        if not stream_id:
            self._room = self._widened(self._room, increment)
            self._wake()
            return
        stream = self._streams.get(stream_id)
        if stream is None:
            self._check_opened(stream_id)
            return
        if not increment:
            raise StreamFailure(stream_id, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
        if stream.room + increment > frames.MAX_WINDOW:
            raise StreamFailure(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "a window beyond 2^31-1")
        stream.room += increment
        if stream_id in self._blocked:
            self._wake_one(stream_id)

    def _widened(self, room: int, increment: int) -> int:
        if not increment:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
        if room + increment > frames.MAX_WINDOW:
            raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond 2^31-1")
        return room + increment

    def _on_rst_stream(self, stream_id: int, payload: bytes) -> None:
        code = _word(payload)
        if stream_id not in self._streams:
            self._check_opened(stream_id)
            self._floods.idle()
            return
        self._lose(stream_id, code, "")
        self._count_reset()

    def _on_priority(self, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != frames.PRIORITY_SIZE:
            if stream_id not in self._streams:
                raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY cut short")
            raise StreamFailure(stream_id, ErrorCode.FRAME_SIZE_ERROR, "PRIORITY cut short")
        self._floods.idle()
        self.check_dependency(stream_id, payload)

    def _on_settings(self, flags: int, payload: bytes) -> None:
        self._floods.settings()
        if flags & frames.ACK:
            if payload:
                raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS ACK with a payload")
            self._settle()
            return
        if len(payload) % 6:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS cut short")
        self._greeted = True
        window = self.peer.initial_window
        self.peer.update(payload)
        self._encoder.allow(self.peer.header_table_size)
        self._out.append(frames.write(frames.SETTINGS, frames.ACK, 0))
        self._events.append(SettingsReceived(0))
        self._change_rooms(self.peer.initial_window - window)

    def _change_rooms(self, change: int) -> None:
        """Have all streams' windows follow the initial one; they may become negative."""
        if not change:
            return
        for stream in self._streams.values():
            stream.room += change
            if stream.room > frames.MAX_WINDOW:
                raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "a window beyond 2^31-1")
        self._wake()

    def _settle(self) -> None:
        """Hold the peer to our SETTINGS, which it has by now."""
        if self.settled:
            return
        self.settled = True
        self._decoder.allow(self.limits.header_table_size)
        change = self.limits.stream_window - self._stream_window
        self._stream_window += change
        for stream_id, stream in self._streams.items():
            if stream.inflow is not None and stream.receiving and change:
                stream.inflow.room += change
                stream.inflow.window += change
                # What was little to give back may be much by now, and all that there will be.
                self._give_back(stream_id, stream.inflow.release(0))

    def _on_ping(self, flags: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "PING without 8 bytes")
        self._floods.ping()
        if flags & frames.ACK:
            self._events.append(PingAnswered(payload))
            return
        self._out.append(frames.write(frames.PING, frames.ACK, 0, payload))

    def _on_goaway(self, payload: bytes) -> None:
        if len(payload) < frames.TWO_WORDS.size:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY cut short")
        last, code = frames.TWO_WORDS.unpack_from(payload)
        last &= frames.MAX_STREAM_ID
        self._floods.idle()
        self.goaway_received = True
        self._lose_beyond(last)
        self._events.append(GoawayReceived(last, code, payload[frames.TWO_WORDS.size :]))

    def _lose_beyond(self, last: int) -> None:
        """Give up those of our streams that the peer will not look at."""

    def _is_idle(self, stream_id: int) -> bool:
        """Whether nobody has opened that stream, nor a later one of the same side."""
        raise NotImplementedError

    def _check_opened(self, stream_id: int) -> None:
        if self._is_idle(stream_id):
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "a frame on a stream not opened")

    def _on_stray(self, stream_id: int, size: int = 0) -> None:
        """Judge HEADERS, or `size` bytes of DATA, on a stream not open: dropped, or an error."""
        self._check_opened(stream_id)
        fate = self._past.fate(stream_id)
        if fate == RESET_BY_US or stream_id > self._goaway_sent:
            if not size:  # else it was on its way, as much as the windows allow: nobody's fault
                self._floods.idle()
        elif fate == RESET_BY_PEER:
            raise StreamFailure(stream_id, ErrorCode.STREAM_CLOSED, "a frame behind RST_STREAM")
        elif fate == NEVER_OPENED:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "a stream opened out of order")
        else:
            raise ConnectionFailure(ErrorCode.STREAM_CLOSED, "a frame behind the end")

    def _count_reset(self) -> None:
        """Count one that the peer brought about, if it is one to count them of."""

    def _fail_stream(self, failure: StreamFailure) -> None:
        stream_id, code = failure.stream_id, failure.code
        self._out.append(frames.write_rst_stream(stream_id, code))
        if stream_id in self._streams:
            self._forget(stream_id, RESET_BY_US)
            self._events.append(StreamReset(stream_id, code, failure.detail, by_peer=False))
        self._count_reset()

    def _fail(self, failure: ConnectionFailure) -> None:
        self.goaway(failure.code, failure.detail.encode())
        self.failed = True
        self._streams.clear()
        self._blocked.clear()
        self._events.append(ConnectionFailed(failure.code, failure.detail, failure.limit))


def _word(payload: bytes) -> int:
    if len(payload) != frames.WORD.size:
        raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "a frame of another length than 4")
    (word,) = frames.WORD.unpack(payload)
    return int(word)
