"""One HTTP/2 connection, either side of it: what both sides share of the state machine.

How its owner drives it:

    connection = ServerConnection(Limits(), codec)        # or ClientConnection
    send(connection.data_to_send())                       # preface and SETTINGS
    for event in connection.receive(data):                # never raises; see ConnectionFailed
        match event:
            case RequestReceived(): start a task
            case DataReceived(): queue; once consumed: acknowledge(stream_id, len(data))
            case WindowOpened(): wake the task that waits to send
            case StreamReset(): cancel the task
    send(connection.data_to_send())                       # after each batch, of events or of sends

Streams are known by their number. `send_*` for a stream that is over (reset meanwhile, by either
side) does nothing and says so by its result: a task that has not heard yet does no harm.
Sending appends to a buffer; whoever awaits the writing of `data_to_send()` has its back-pressure.

Flow control, incoming: the peer may have sent a stream's window and the connection's window before
`acknowledge`, so that is also how much the owner may have to hold. What it never consumes it need
not acknowledge: the end of a stream, in whatever way, gives back what is left to the connection.
Outgoing: `send_data` takes what both windows allow and returns how much; WindowOpened, which comes
in the order in which streams ran into their limit, says that the rest can be tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.errors import MalformedMessage
from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.control import Control
from trioproxy.codec.h2.decoder import CompressionError, Decoder
from trioproxy.codec.h2.errors import ConnectionFailure, StreamFailure
from trioproxy.codec.h2.events import DataReceived, ErrorCode, TrailersReceived
from trioproxy.codec.h2.heads import read_trailers
from trioproxy.codec.h2.streams import ENDED, Inflow

if TYPE_CHECKING:
    from trioproxy.codec.h2.codec import Codec
    from trioproxy.codec.h2.entries import Entry, EntryReader
    from trioproxy.codec.h2.events import Event
    from trioproxy.codec.h2.limits import Limits
    from trioproxy.codec.h2.streams import Stream

KIND_AT = 3  # of a frame: where its type stands


class Connection(Control):
    """What a server's and a client's connection have in common: frames in.

    `failed`: an error ended it; nothing can be done but to write what is left and close. `settled`:
    the peer has acknowledged our SETTINGS. `goaway_received`: it wants no new streams.
    """

    def __init__(self, limits: Limits, codec: Codec, reader: EntryReader, preface: bytes) -> None:
        decoder = Decoder(
            reader,
            table_size=limits.header_table_size,
            max_list=limits.max_header_list_size,
            max_fields=limits.max_header_fields,
        )
        super().__init__(limits, codec, decoder)
        self._preface = preface  # that is still to come
        self._pending = b""
        self._block: list[bytes] = []  # of a header block that CONTINUATION frames carry on
        self._block_of = 0
        self._block_ends = False
        self._block_size = 0

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes in any pieces; returns what they mean, in order."""
        if self.failed:
            return []
        events: list[Event] = []
        self._events = events
        try:
            self._take(data)
        except ConnectionFailure as failure:
            self._fail(failure)
        self._events = []  # an idle connection keeps no messages
        return events

    @property
    def in_head(self) -> bool:
        """Whether a part of a header block has come, and the rest is still to come."""
        if self._block_of:
            return True
        return len(self._pending) > KIND_AT and self._pending[KIND_AT] == frames.HEADERS

    def _take(self, data: bytes) -> None:
        """Take apart the frames that are here in full."""
        if self._preface:
            data = self._take_preface(data)
        if self._pending:
            data = self._pending + data
        at, size, limit = 0, len(data), self.limits.max_frame_size
        while size - at >= frames.HEAD_SIZE:
            high, low, kind, flags, stream_id = frames.unpack_head(data, at)
            start = at + frames.HEAD_SIZE
            end = start + (high << 16 | low)
            if end - start > limit:
                raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "a frame too long")
            if end > size:
                break
            self._on_frame(kind, flags, stream_id & frames.MAX_STREAM_ID, data[start:end])
            at = end
        self._pending = data[at:]

    def _take_preface(self, data: bytes) -> bytes:
        expected = self._preface[: len(data)]
        if not data.startswith(expected):
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "not the preface of HTTP/2")
        self._preface = self._preface[len(data) :]
        return data[len(expected) :]

    def _on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block_of and (kind != frames.CONTINUATION or stream_id != self._block_of):
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "a header block is interrupted")
        if not self._greeted and kind != frames.SETTINGS:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "SETTINGS have to come first")
        try:
            if kind == frames.HEADERS:
                self._on_headers(flags, stream_id, payload)
            elif kind == frames.DATA:
                self._on_data(flags, stream_id, payload)
            elif kind == frames.CONTINUATION:
                self._on_continuation(flags, payload)
            else:
                self._on_control(kind, flags, stream_id, payload)
        except StreamFailure as failure:
            self._fail_stream(failure)

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0")
        if flags & frames.PADDED:
            payload = _unpad(payload)
        if flags & frames.HAS_PRIORITY:
            if len(payload) < frames.PRIORITY_SIZE:
                raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "HEADERS cut short")
            self.check_dependency(stream_id, payload)
            payload = payload[frames.PRIORITY_SIZE :]
        ended = bool(flags & frames.END_STREAM)
        if flags & frames.END_HEADERS:
            self._on_block(stream_id, payload, ended)
            return
        self._block_of, self._block_ends = stream_id, ended
        self._block, self._block_size = [payload], len(payload)

    def _on_continuation(self, flags: int, payload: bytes) -> None:
        if not self._block_of:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._block.append(payload)
        self._block_size += len(payload)
        if len(self._block) - 1 > self.limits.max_continuation_frames:
            raise _calm("max_continuation_frames")
        if self._block_size > self.limits.max_header_block_size:
            raise _calm("max_header_block_size")
        if flags & frames.END_HEADERS:
            stream_id, block = self._block_of, b"".join(self._block)
            self._block, self._block_of = [], 0
            self._on_block(stream_id, block, self._block_ends)

    def _on_block(self, stream_id: int, block: bytes, ended: bool) -> None:
        """Take a header block: its fields have to be decoded, whatever becomes of them."""
        raise NotImplementedError

    def _decode(self, block: bytes) -> list[Entry]:
        try:
            return self._decoder.decode(block)
        except CompressionError as error:
            raise ConnectionFailure(ErrorCode.COMPRESSION_ERROR, str(error)) from error

    def _on_trailers(self, stream_id: int, stream: Stream, block: bytes, ended: bool) -> None:
        entries = self._decode(block)
        if not stream.receiving:
            raise StreamFailure(stream_id, ErrorCode.STREAM_CLOSED, "HEADERS behind the end")
        if not ended:
            raise StreamFailure(stream_id, ErrorCode.PROTOCOL_ERROR, "trailers that end nothing")
        if self._decoder.overflow:
            raise StreamFailure(stream_id, ErrorCode.ENHANCE_YOUR_CALM, "trailers too large")
        try:
            trailers = read_trailers(entries)
        except MalformedMessage as error:
            raise StreamFailure(stream_id, ErrorCode.PROTOCOL_ERROR, error.detail) from error
        if stream.expected > 0:
            raise StreamFailure(stream_id, ErrorCode.PROTOCOL_ERROR, "less than Content-Length")
        self._events.append(TrailersReceived(stream_id, trailers))
        self._received_end(stream_id, stream)

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        stream = self._receiving(stream_id, size)
        if stream is None:
            return
        inflow = stream.inflow
        if inflow is None:
            stream.inflow = inflow = Inflow(self._stream_window)
        inflow.room -= size
        inflow.held += size
        if inflow.room < 0 and size:  # an end alone needs no room, where it has become negative
            raise StreamFailure(stream_id, ErrorCode.FLOW_CONTROL_ERROR, "beyond the window")
        data = _unpad(payload) if flags & frames.PADDED else payload
        ended = bool(flags & frames.END_STREAM)
        self._check_length(stream_id, stream, len(data), ended)
        self._events.append(DataReceived(stream_id, data, ended))
        if ended:
            self._received_end(stream_id, stream)
        if len(data) < size:
            self.acknowledge(stream_id, size - len(data))

    def _receiving(self, stream_id: int, size: int) -> Stream | None:
        """Return the stream for `size` bytes of DATA; None where they are dropped, and released."""
        self._inflow.room -= size
        if self._inflow.room < 0:
            raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "more than the window allows")
        stream = self._streams.get(stream_id)
        if stream is not None and stream.receiving and stream.headed:
            return stream
        self._release(size)
        if stream is None:
            self._on_stray(stream_id, size)
            return None
        if stream.receiving:
            raise StreamFailure(stream_id, ErrorCode.PROTOCOL_ERROR, "DATA before HEADERS")
        raise StreamFailure(stream_id, ErrorCode.STREAM_CLOSED, "DATA behind the end")

    def _check_length(self, stream_id: int, stream: Stream, size: int, ended: bool) -> None:
        """Hold a body to the length that it was announced with, and to having one."""
        if not size and not ended:
            self._floods.empty()
        expected = stream.expected
        if expected >= 0:
            stream.expected = expected = expected - size
            if expected < 0 or (ended and expected):
                raise StreamFailure(
                    stream_id, ErrorCode.PROTOCOL_ERROR, "the body differs from Content-Length"
                )

    def _received_end(self, stream_id: int, stream: Stream) -> None:
        stream.receiving = False
        if not stream.sending:
            self._forget(stream_id, ENDED)


def _unpad(payload: bytes) -> bytes:
    size = len(payload)
    if not size or payload[0] >= size:
        raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : size - payload[0]]


def _calm(limit: str) -> ConnectionFailure:
    return ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, "a header block too long", limit)
