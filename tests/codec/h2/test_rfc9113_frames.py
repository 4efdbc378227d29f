"""Frames by RFC 9113, sections 6 and 7: each case is one of h2spec's, or beside it."""

from __future__ import annotations

import pytest
from raw_peer import POST, TARGET, Peer, block, data, frame, headers, settings, word

from trioproxy.codec.h2 import frames
from trioproxy.codec.h2 import settings as names
from trioproxy.codec.h2.events import (
    DataReceived,
    ErrorCode,
    GoawayReceived,
    PingAnswered,
    RequestReceived,
    StreamReset,
)

GET = headers()
OPEN = headers(fields=POST, ended=False)
BLOCK = block(TARGET)
HALF_BLOCK = frame(frames.HEADERS, frames.END_STREAM, 1, BLOCK)
MORE = block([(b"x-a", b"b")])
GOAWAY = frame(frames.GOAWAY, 0, 0, word(0) + word(ErrorCode.NO_ERROR))
WINDOW = names.INITIAL_WINDOW_SIZE
BEYOND = 2**31

CONNECTION_ERRORS = {
    "6.1: DATA on stream 0": (data(0), "PROTOCOL_ERROR"),
    "6.1: padding as long as DATA": (OPEN + frame(0, 9, 1, b"\x06test\0"), "PROTOCOL_ERROR"),
    "6.1: DATA without its padding": (OPEN + frame(0, 9, 1), "PROTOCOL_ERROR"),
    "6.2: a block interrupted by PRIORITY": (
        HALF_BLOCK + frame(2, 0, 3, bytes(5)),
        "PROTOCOL_ERROR",
    ),
    "6.2: a block interrupted by HEADERS": (HALF_BLOCK + headers(3), "PROTOCOL_ERROR"),
    "6.2: HEADERS on stream 0": (headers(0), "PROTOCOL_ERROR"),
    "6.2: padding as long as HEADERS": (frame(1, 0xD, 1, b"\xff" + BLOCK), "PROTOCOL_ERROR"),
    "6.3: PRIORITY on stream 0": (frame(2, 0, 0, bytes(5)), "PROTOCOL_ERROR"),
    "6.3: PRIORITY of 4 bytes on no stream": (frame(2, 0, 1, bytes(4)), "FRAME_SIZE_ERROR"),
    "6.4: RST_STREAM on stream 0": (frame(3, 0, 0, word(8)), "PROTOCOL_ERROR"),
    "6.4: RST_STREAM on an idle stream": (frame(3, 0, 1, word(8)), "PROTOCOL_ERROR"),
    "6.4: RST_STREAM of 3 bytes": (OPEN + frame(3, 0, 1, b"123"), "FRAME_SIZE_ERROR"),
    "6.5: SETTINGS ACK with a payload": (frame(4, 1, 0, bytes(6)), "FRAME_SIZE_ERROR"),
    "6.5: SETTINGS on a stream": (frame(4, 0, 1, bytes(6)), "PROTOCOL_ERROR"),
    "6.5: SETTINGS of 3 bytes": (frame(4, 0, 0, bytes(3)), "FRAME_SIZE_ERROR"),
    "6.5.2: ENABLE_PUSH of 2": (settings((names.ENABLE_PUSH, 2)), "PROTOCOL_ERROR"),
    "6.5.2: INITIAL_WINDOW_SIZE of 2^31": (settings((WINDOW, BEYOND)), "FLOW_CONTROL_ERROR"),
    "6.5.2: MAX_FRAME_SIZE of 16,383": (settings((names.MAX_FRAME_SIZE, 16383)), "PROTOCOL_ERROR"),
    "6.5.2: MAX_FRAME_SIZE of 2^24": (settings((names.MAX_FRAME_SIZE, 2**24)), "PROTOCOL_ERROR"),
    "8441: CONNECT of 2": (settings((names.ENABLE_CONNECT_PROTOCOL, 2)), "PROTOCOL_ERROR"),
    "8441: CONNECT taken back": (
        settings((names.ENABLE_CONNECT_PROTOCOL, 1), (names.ENABLE_CONNECT_PROTOCOL, 0)),
        "PROTOCOL_ERROR",
    ),
    "6.6: PUSH_PROMISE": (OPEN + frame(5, 4, 1, word(2) + BLOCK), "PROTOCOL_ERROR"),
    "6.7: PING on a stream": (frame(6, 0, 1, bytes(8)), "PROTOCOL_ERROR"),
    "6.7: PING of 6 bytes": (frame(6, 0, 0, bytes(6)), "FRAME_SIZE_ERROR"),
    "6.8: GOAWAY on a stream": (frame(7, 0, 1, bytes(8)), "PROTOCOL_ERROR"),
    "6.8: GOAWAY of 7 bytes": (frame(7, 0, 0, bytes(7)), "FRAME_SIZE_ERROR"),
    "6.9: WINDOW_UPDATE by 0": (frame(8, 0, 0, word(0)), "PROTOCOL_ERROR"),
    "6.9: WINDOW_UPDATE of 3 bytes": (frame(8, 0, 0, b"123"), "FRAME_SIZE_ERROR"),
    "6.9.1: the connection's window beyond 2^31-1": (
        frame(8, 0, 0, word(2**31 - 1)) * 2,
        "FLOW_CONTROL_ERROR",
    ),
    "6.9.2: SETTINGS that widen a stream's window beyond 2^31-1": (
        OPEN + frame(8, 0, 1, word(1)) + settings((WINDOW, 2**31 - 1)),
        "FLOW_CONTROL_ERROR",
    ),
    "6.10: CONTINUATION, then DATA": (HALF_BLOCK + frame(9, 0, 1, MORE) + data(), "PROTOCOL_ERROR"),
    "6.10: CONTINUATION on stream 0": (HALF_BLOCK + frame(9, 4, 0, MORE), "PROTOCOL_ERROR"),
    "6.10: CONTINUATION behind a whole block": (OPEN + frame(9, 4, 1, MORE), "PROTOCOL_ERROR"),
    "6.10: CONTINUATION behind the last one": (
        HALF_BLOCK + frame(9, 4, 1, MORE) * 2,
        "PROTOCOL_ERROR",
    ),
    "6.10: CONTINUATION behind DATA": (
        OPEN + data(1, ended=False) + frame(9, 4, 1, MORE),
        "PROTOCOL_ERROR",
    ),
}


@pytest.mark.parametrize(("said", "code"), CONNECTION_ERRORS.values(), ids=CONNECTION_ERRORS)
def test_connection_errors(said: bytes, code: str) -> None:
    peer = Peer()
    peer.server.receive(said)
    peer.listen()
    (goaway,) = peer.heard(frames.GOAWAY)
    assert ErrorCode(int.from_bytes(goaway.payload[4:8], "big")) is ErrorCode[code]
    assert peer.server.failed


STREAM_ERRORS = {
    "6.3: PRIORITY of 4 bytes": (OPEN + frame(2, 0, 1, bytes(4)), "FRAME_SIZE_ERROR"),
    "6.9: WINDOW_UPDATE by 0": (OPEN + frame(8, 0, 1, word(0)), "PROTOCOL_ERROR"),
    "6.9: DATA beyond the stream's window": (
        OPEN + data(1, bytes(16384), ended=False) * 4,
        "FLOW_CONTROL_ERROR",
    ),
    "6.9.1: the stream's window beyond 2^31-1": (
        OPEN + frame(8, 0, 1, word(2**31 - 1)),
        "FLOW_CONTROL_ERROR",
    ),
}


@pytest.mark.parametrize(("said", "code"), STREAM_ERRORS.values(), ids=STREAM_ERRORS)
def test_stream_errors(said: bytes, code: str) -> None:
    peer = Peer()
    (reset,) = [each for each in peer.server.receive(said) if isinstance(each, StreamReset)]
    peer.listen()
    assert peer.resets == {1: ErrorCode[code]}
    assert (reset.code, reset.by_peer) == (ErrorCode[code], False)
    assert peer.say(headers(3)).served == [3]


SERVED = {
    "6.1: DATA": OPEN + data(),
    "6.1: several DATA": OPEN + data(ended=False) + data(),
    "6.1: padded DATA": OPEN + frame(0, 9, 1, b"\x06test" + bytes(6)),
    "6.2: HEADERS": GET,
    "6.2: padded HEADERS": frame(1, 0xD, 1, b"\x06" + BLOCK + bytes(6)),
    "6.2: HEADERS with a priority": frame(1, 0x25, 1, word(0) + b"\x0f" + BLOCK),
    "6.2: HEADERS with both": frame(1, 0x2D, 1, b"\x01" + word(0) + b"\x0f" + BLOCK + b"\0"),
    "6.3: PRIORITY, weight 1": frame(2, 0, 1, bytes(5)) + GET,
    "6.3: PRIORITY, weight 256": frame(2, 0, 1, word(0) + b"\xff") + GET,
    "6.3: PRIORITY with a parent": frame(2, 0, 1, word(3) + b"\0") + GET,
    "6.3: exclusive PRIORITY": frame(2, 0, 1, word(BEYOND + 3) + b"\0") + GET,
    "6.5: SETTINGS": settings((names.MAX_CONCURRENT_STREAMS, 100), (names.ENABLE_PUSH, 0)) + GET,
    "6.5.2: an unknown setting": settings((0xFFFF, 1)) + GET,
    "6.7: PING": frame(6, 0, 0, bytes(8)) + GET,
    "6.8: GOAWAY": GET + GOAWAY,
    "6.9: WINDOW_UPDATE of the connection": frame(8, 0, 0, word(1)) + GET,
    "6.9: WINDOW_UPDATE of a stream": OPEN + frame(8, 0, 1, word(1)) + data(),
    "6.10: CONTINUATION": HALF_BLOCK + frame(9, 4, 1, MORE),
    "6.10: several CONTINUATION": HALF_BLOCK + frame(9, 0, 1, MORE) + frame(9, 4, 1, b""),
    "7: GOAWAY of an unknown code": frame(7, 0, 0, word(0) + word(0xFF)) + GET,
}


@pytest.mark.parametrize("said", SERVED.values(), ids=SERVED)
def test_served(said: bytes) -> None:
    peer = Peer().say(said)
    assert (peer.failure, peer.resets, peer.served) == (None, {}, [1])


def test_a_block_in_pieces_is_one_request() -> None:
    """6.10: cut wherever it may be, within a field too."""
    peer = Peer()
    for number, cut in enumerate(range(1, len(BLOCK))):
        stream_id = 2 * number + 1
        first = frame(frames.HEADERS, frames.END_STREAM, stream_id, BLOCK[:cut])
        peer.say(first + frame(frames.CONTINUATION, 4, stream_id, BLOCK[cut:]))
    assert peer.served == [2 * number + 1 for number in range(len(BLOCK) - 1)]


def test_padding_is_no_payload_and_is_given_back() -> None:
    """6.1: it counts for the windows, which nobody but us can open again."""
    peer = Peer().say(OPEN)
    for _ in range(200):
        peer.say(frame(frames.DATA, frames.PADDED, 1, b"\xffa" + bytes(255)))
        peer.server.relax()
    assert b"".join(e.data for e in peer.events if isinstance(e, DataReceived)) == b"a" * 200
    given = [int.from_bytes(each.payload, "big") for each in peer.heard(frames.WINDOW_UPDATE, 1)]
    assert 257 * 200 - 65535 // 2 <= sum(given) <= 257 * 200


def test_rst_stream_ends_a_stream() -> None:
    """6.4, and 7: an unknown code means nothing special."""
    peer = Peer().say(OPEN + frame(frames.RST_STREAM, 0, 1, word(0xFF)))
    (reset,) = [each for each in peer.events if isinstance(each, StreamReset)]
    assert (reset.stream_id, reset.code, reset.by_peer) == (1, 0xFF, True)
    assert peer.server.send_data(1, b"late", ended=True) == -1
    assert peer.say(headers(3)).served == [3]


def test_settings_are_acknowledged() -> None:
    """6.5.3: at once, one for one."""
    peer = Peer().say(settings((names.ENABLE_PUSH, 0)), settings())
    acknowledged = [each for each in peer.heard(frames.SETTINGS) if each.flags == frames.ACK]
    assert [each.payload for each in acknowledged] == [b""] * 3


def test_the_last_of_several_values_counts() -> None:
    """6.5.3: in the order in which they stand."""
    peer = Peer(body=b"12345").say(settings((WINDOW, 100), (WINDOW, 1)), GET)
    assert [each.payload for each in peer.heard(frames.DATA)] == [b"1"]


def test_ping_is_answered_by_its_like() -> None:
    """6.7: an answer to ours is not answered."""
    peer = Peer().say(frame(frames.PING, 0, 0, b"12345678"))
    assert [tuple(each) for each in peer.heard(frames.PING)] == [(6, frames.ACK, 0, b"12345678")]
    peer.say(frame(frames.PING, frames.ACK, 0, b"87654321"))
    assert len(peer.heard(frames.PING)) == 1
    (answer,) = [each for each in peer.events if isinstance(each, PingAnswered)]
    assert answer.payload == b"87654321"


def test_goaway_of_a_client_is_told() -> None:
    """6.8: it opens no more streams; those that are there go on."""
    said = frame(frames.GOAWAY, 0, 0, word(0) + word(2) + b"why")
    peer = Peer().say(OPEN, said, data())
    (goaway,) = [each for each in peer.events if isinstance(each, GoawayReceived)]
    assert (goaway.last_stream_id, goaway.code, goaway.debug) == (0, 2, b"why")
    assert peer.server.goaway_received
    assert peer.served == [1]


def test_a_second_head_has_to_end_the_stream() -> None:
    """8.1: it can only be trailers."""
    peer = Peer().say(OPEN + headers(1, [(b"x-a", b"b")], ended=False))
    assert peer.resets == {1: ErrorCode.PROTOCOL_ERROR}
    assert len(peer.of(RequestReceived)) == 1
