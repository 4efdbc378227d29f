"""A client that says whatever it likes, byte by byte, to a server that answers what it can."""

from __future__ import annotations

import struct
from typing import NamedTuple

import attrs

from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.codec import Codec
from trioproxy.codec.h2.events import (
    ConnectionFailed,
    DataReceived,
    ErrorCode,
    Event,
    RequestReceived,
    RequestRejected,
    StreamReset,
    TrailersReceived,
    WindowOpened,
)
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.h2.server import ServerConnection
from trioproxy.codec.h2.tables import write_integer, write_string
from trioproxy.codec.messages import Response

CODEC = Codec()
TARGET = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":path", b"/"),
    (b":authority", b"example.org"),
]
POST = [(b":method", b"POST"), *TARGET[1:]]


class Frame(NamedTuple):
    """A frame as it stands on the wire."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


def parse(data: bytes) -> list[Frame]:
    """Take apart what is made of whole frames."""
    found = []
    while data:
        size = int.from_bytes(data[:3], "big")
        kind, flags, stream_id = struct.unpack_from(">BBL", data, 3)
        assert len(data) >= 9 + size, "a frame cut short"
        found.append(Frame(kind, flags, stream_id, data[9 : 9 + size]))
        data = data[9 + size :]
    return found


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """A frame of any sort, valid or not."""
    size = len(payload).to_bytes(3, "big")
    return size + struct.pack(">BBL", kind, flags, stream_id) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A field in the plainest way: no index, no table, no Huffman code."""
    return b"\0" + write_string(name) + write_string(value)


def block(fields: list[tuple[bytes, bytes]]) -> bytes:
    """A header block."""
    return b"".join(literal(*field) for field in fields)


def headers(
    stream_id: int = 1,
    fields: list[tuple[bytes, bytes]] = TARGET,
    *,
    ended: bool = True,
    extra: bytes = b"",
) -> bytes:
    """HEADERS in one frame; `extra` stands behind the fields in their block."""
    flags = frames.END_HEADERS | (frames.END_STREAM if ended else 0)
    return frame(frames.HEADERS, flags, stream_id, block(fields) + extra)


def data(stream_id: int = 1, payload: bytes = b"test", *, ended: bool = True) -> bytes:
    """DATA in one frame."""
    return frame(frames.DATA, frames.END_STREAM if ended else 0, stream_id, payload)


def word(number: int) -> bytes:
    """Four bytes."""
    return number.to_bytes(4, "big")


def settings(*pairs: tuple[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(frames.SETTINGS, 0, 0, b"".join(struct.pack(">HL", *pair) for pair in pairs))


def size_update(size: int) -> bytes:
    """What changes the size of a table."""
    return write_integer(size, 5, 0x20)


@attrs.define
class Peer:
    """Both ends: `events` is what the server made of all that was said, `answers` what it said."""

    limits: Limits = attrs.field(factory=Limits)
    body: bytes = b"hello"
    greeting: bytes = frames.PREFACE + settings()
    events: list[Event] = attrs.field(factory=list)
    answers: list[Frame] = attrs.field(factory=list)
    server: ServerConnection = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.server = ServerConnection(self.limits, CODEC)
        self.listen()
        if self.greeting:
            self.say(self.greeting)

    def say(self, *said: bytes) -> Peer:
        """Have the server receive each piece, answer what is complete, and hear the answers."""
        for piece in said:
            for event in self.server.receive(piece):
                self.events.append(event)
                self.react(event)
            self.listen()
        return self

    def react(self, event: Event) -> None:
        if (isinstance(event, RequestReceived | DataReceived) and event.ended) or isinstance(
            event, TrailersReceived
        ):
            self.respond(event.stream_id)
        elif isinstance(event, WindowOpened):
            self.server.send_data(event.stream_id, self.body, ended=True)
        if isinstance(event, DataReceived):
            self.server.acknowledge(event.stream_id, len(event.data))

    def respond(self, stream_id: int) -> None:
        response = Response(status=200, content_length=len(self.body))
        self.server.send_response(stream_id, response)
        self.server.send_data(stream_id, self.body, ended=True)

    def listen(self) -> None:
        self.answers += parse(self.server.data_to_send())

    def heard(self, kind: int, stream_id: int | None = None) -> list[Frame]:
        """The answers of one kind."""
        return [
            each
            for each in self.answers
            if each.kind == kind and stream_id in (None, each.stream_id)
        ]

    @property
    def failure(self) -> ErrorCode | None:
        """The code of the GOAWAY that ended the connection, if one did."""
        failures = [event for event in self.events if isinstance(event, ConnectionFailed)]
        if not failures:
            assert not self.server.failed
            return None
        assert self.server.failed
        (goaway,) = self.heard(frames.GOAWAY)
        assert int.from_bytes(goaway.payload[4:8], "big") == failures[0].code
        return ErrorCode(failures[0].code)

    @property
    def resets(self) -> dict[int, ErrorCode]:
        """The codes of the RST_STREAM that the server sent, by stream."""
        return {
            each.stream_id: ErrorCode(int.from_bytes(each.payload, "big"))
            for each in self.heard(frames.RST_STREAM)
        }

    @property
    def served(self) -> list[int]:
        """The streams that were responded to in full."""
        return [each.stream_id for each in self.heard(frames.DATA) if each.flags & 1]

    def of(self, kind: type[Event]) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def complaint(self) -> str:
        """What the server has to say of the stream that it did not like."""
        complaints = [
            each for each in self.events if isinstance(each, RequestRejected | StreamReset)
        ]
        return complaints[-1].detail
