"""The sending half of a connection: streams, send windows, frames out (RFC 9113 sections 5, 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.encoder import Encoder
from trioproxy.codec.h2.events import ErrorCode, StreamReset, WindowOpened
from trioproxy.codec.h2.floods import Floods
from trioproxy.codec.h2.settings import PeerSettings
from trioproxy.codec.h2.streams import ENDED, RESET_BY_PEER, RESET_BY_US, Inflow, Past, Stream

if TYPE_CHECKING:
    from trioproxy.codec.h2.codec import Codec
    from trioproxy.codec.h2.events import Event
    from trioproxy.codec.h2.limits import Limits
    from trioproxy.headers import Headers

PIECE_COST = 64  # bytes of memory that a piece of what is to be written takes beside its own


class Sender:
    """What `Connection` inherits: the streams, and all that is said on them and about them."""

    def __init__(self, limits: Limits, codec: Codec) -> None:
        self.limits = limits
        self.codec = codec
        self.failed = False
        self.peer = PeerSettings()
        self._encoder = Encoder()
        self._out: list[bytes] = []
        self._payload = 0  # bytes of bodies that are in it
        self._events: list[Event] = []
        self._floods = Floods(limits)
        self._streams: dict[int, Stream] = {}
        self._past = Past()
        self._room = frames.DEFAULT_WINDOW
        self._blocked: dict[int, None] = {}  # in the order in which they ran out of room
        self._inflow = Inflow(max(limits.connection_window, frames.DEFAULT_WINDOW))
        self._stream_window = max(limits.stream_window, frames.DEFAULT_WINDOW)
        self._highest = 0  # the last stream that the peer opened
        self._goaway_sent = frames.MAX_STREAM_ID  # streams of the peer beyond are dropped

    def data_to_send(self) -> bytes:
        """Return what is to be written, once; empty if there is nothing."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        self._payload = 0
        return data

    @property
    def owed(self) -> int:
        """How many bytes are to be written beside those of bodies, and what memory that takes."""
        return sum(map(len, self._out)) - self._payload + len(self._out) * PIECE_COST

    @property
    def streams(self) -> int:
        """How many streams are open, in whatever direction."""
        return len(self._streams)

    def send_data(self, stream_id: int, data: bytes, *, ended: bool = False) -> int:
        """Send as much of a body's piece as the windows allow; returns how much that was.

        `ended` ends the stream with the last byte of it. Returns -1 where the stream is over.
        Of several streams that wait, WindowOpened comes first to the one that waited longest.
        """
        stream = self._streams.get(stream_id)
        if stream is None or not stream.sending:
            return -1
        size = len(data)
        room = min(stream.room, self._room)
        if size > room and size:
            return self._send_some(stream_id, stream, data, room)
        if size or ended:
            self._write_data(stream_id, stream, data, frames.END_STREAM if ended else 0)
        if self._blocked:
            self._blocked.pop(stream_id, None)
        if ended:
            self._sent_end(stream_id, stream)
        return size

    def send_trailers(self, stream_id: int, trailers: Headers) -> bool:
        """Send the fields behind a body, and end the stream; returns whether it was still there.

        They are not subject to flow control; the body must have been taken in whole before. Raises
        UnsafeMessage.
        """
        stream = self._streams.get(stream_id)
        if stream is None or not stream.sending:
            return False
        if not trailers.fields:
            return self.send_data(stream_id, b"", ended=True) == 0
        self._write_block(
            stream_id, self.codec.encode_trailers(trailers, self._encoder), ended=True
        )
        self._sent_end(stream_id, stream)
        return True

    def acknowledge(self, stream_id: int, count: int) -> bool:
        """Let the peer send `count` more bytes: that much of the stream's body was consumed.

        Once it has sent all of the body, that is for other streams. Returns whether there is
        something to send now.
        """
        stream = self._streams.get(stream_id)
        if stream is None or stream.inflow is None:
            return False  # its end has given back all that was left
        inflow = stream.inflow
        inflow.held -= count
        said = self._release(count)
        if stream.receiving:
            said |= self._give_back(stream_id, inflow.release(count))
        return said

    def reset(self, stream_id: int, code: int) -> None:
        """End a stream at once, by RST_STREAM; what the peer still sends on it is dropped."""
        if stream_id in self._streams:
            self._out.append(frames.write_rst_stream(stream_id, code))
            self._forget(stream_id, RESET_BY_US)

    def ping(self, payload: bytes) -> None:
        """Send a PING of 8 bytes, answered by PingAnswered."""
        if len(payload) != 8:
            raise ValueError("a PING has 8 bytes")
        self._out.append(frames.write(frames.PING, 0, 0, payload))

    def goaway_notice(self) -> None:
        """Say GOAWAY(2^31-1): please open no more streams; those on their way are still served."""
        self._out.append(frames.write_goaway(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR, b""))

    def goaway(self, code: int = 0, debug: bytes = b"") -> None:
        """Say GOAWAY with the last stream that was taken: later ones are dropped from here on.

        Running streams go on; `streams` says when they have ended.
        """
        self._goaway_sent = min(self._goaway_sent, self._highest)
        self._out.append(frames.write_goaway(self._goaway_sent, code, debug))

    def relax(self) -> None:
        """Forget the floods counted so far. Called once a second, limits are per second."""
        self._floods.relax()

    def _send_some(self, stream_id: int, stream: Stream, data: bytes, room: int) -> int:
        """Send what there is room for, and have the stream wait for more, behind all others."""
        if room <= 0:
            self._blocked.setdefault(stream_id)
            return 0
        self._write_data(stream_id, stream, data[:room], 0)
        self._blocked.pop(stream_id, None)
        self._blocked[stream_id] = None
        return room

    def _write_data(self, stream_id: int, stream: Stream, data: bytes, flags: int) -> None:
        size, limit = len(data), self.peer.max_frame_size
        start = 0
        while size - start > limit:
            self._out.append(frames.write_head(frames.DATA, 0, stream_id, limit))
            self._out.append(data[start : start + limit])
            start += limit
            self._floods.data_frames_sent += 1
        self._out.append(frames.write_head(frames.DATA, flags, stream_id, size - start))
        self._out.append(data[start:] if start else data)
        self._floods.data_frames_sent += 1
        self._payload += size
        stream.room -= size
        self._room -= size

    def _write_block(self, stream_id: int, block: bytes, *, ended: bool) -> None:
        size = self.peer.max_frame_size
        self._out.append(frames.write_block(stream_id, block, size, ended=ended))

    def _sent_end(self, stream_id: int, stream: Stream) -> None:
        stream.sending = False
        if not stream.receiving:
            self._forget(stream_id, ENDED)

    def _forget(self, stream_id: int, fate: int) -> None:
        """Have done with a stream; what its owner still held counts as consumed."""
        stream = self._streams.pop(stream_id)
        self._past.add(stream_id, fate)
        if self._blocked:
            self._blocked.pop(stream_id, None)
        if stream.inflow is not None and stream.inflow.held:
            self._release(stream.inflow.held)

    def _release(self, count: int) -> bool:
        """Give room back to the connection; returns whether that is to be sent."""
        return self._give_back(0, self._inflow.release(count))

    def _give_back(self, stream_id: int, increment: int) -> bool:
        if increment:
            self._out.append(frames.write_window_update(stream_id, increment))
        return increment > 0

    def _lose(self, stream_id: int, code: int, detail: str) -> None:
        """Hear that the peer has reset a stream."""
        self._forget(stream_id, RESET_BY_PEER)
        self._events.append(StreamReset(stream_id, code, detail, by_peer=True))

    def _wake(self) -> None:
        """Tell the streams that wait of room that there is now, those first that wait longest."""
        for stream_id in self._blocked:
            self._wake_one(stream_id)

    def _wake_one(self, stream_id: int) -> None:
        if self._room > 0 and self._streams[stream_id].room > 0:
            self._events.append(WindowOpened(stream_id))
