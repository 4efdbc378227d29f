"""Connections and streams by RFC 9113, sections 3 to 5: each case is one of h2spec's, or beside it.

What the peer says after a good greeting, and what becomes of it: a connection error, an error of
stream 1, or nothing but service.
"""

from __future__ import annotations

import pytest
from raw_peer import (
    POST,
    TARGET,
    Peer,
    block,
    data,
    frame,
    headers,
    settings,
    word,
)

from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.events import ErrorCode, RequestReceived
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.h2.settings import MAX_CONCURRENT_STREAMS

GET = headers()
OPEN = headers(fields=POST, ended=False)
RESET = frame(frames.RST_STREAM, 0, 1, word(ErrorCode.CANCEL))
PRIORITY = frame(frames.PRIORITY, 0, 1, word(0) + b"\x0f")
CONTINUATION = frame(frames.CONTINUATION, frames.END_HEADERS, 1, block([(b"a", b"b")]))
HALF_BLOCK = frame(frames.HEADERS, frames.END_STREAM, 1, block(TARGET))
LARGE = b"x" * 16385
EXTENSION = frame(0x16, 0, 0, b"\0" * 8)
SELF = word(1) + b"\x0f"

CONNECTION_ERRORS = {
    "4.2: a DATA frame beyond MAX_FRAME_SIZE": (OPEN + data(1, LARGE), "FRAME_SIZE_ERROR"),
    "4.2: a HEADERS frame beyond MAX_FRAME_SIZE": (
        headers(extra=LARGE),
        "FRAME_SIZE_ERROR",
    ),
    "4.3: an invalid block": (frame(1, 5, 1, b"\x40"), "COMPRESSION_ERROR"),
    "4.3: PRIORITY within a block": (HALF_BLOCK + PRIORITY, "PROTOCOL_ERROR"),
    "4.3: HEADERS of another stream within a block": (HALF_BLOCK + headers(3), "PROTOCOL_ERROR"),
    "5.1 idle: DATA": (data(), "PROTOCOL_ERROR"),
    "5.1 idle: RST_STREAM": (RESET, "PROTOCOL_ERROR"),
    "5.1 idle: WINDOW_UPDATE": (frame(8, 0, 1, word(100)), "PROTOCOL_ERROR"),
    "5.1 idle: CONTINUATION": (CONTINUATION, "PROTOCOL_ERROR"),
    "5.1 half closed: CONTINUATION": (GET + CONTINUATION, "PROTOCOL_ERROR"),
    "5.1 reset: CONTINUATION": (OPEN + RESET + CONTINUATION, "PROTOCOL_ERROR"),
    "5.1 closed: DATA": ([GET, data()], "STREAM_CLOSED"),
    "5.1 closed: HEADERS": ([GET, GET], "STREAM_CLOSED"),
    "5.1 closed: CONTINUATION": (GET + CONTINUATION, "PROTOCOL_ERROR"),
    "5.1.1: an even number": (headers(2), "PROTOCOL_ERROR"),
    "5.1.1: a number smaller than before": (headers(5) + headers(3), "PROTOCOL_ERROR"),
    "5.3.1: HEADERS that depend on themselves": (
        frame(1, 0x25, 1, SELF + block(TARGET)),
        "PROTOCOL_ERROR",
    ),
    "5.3.1: PRIORITY that depends on itself": (frame(2, 0, 1, SELF), "PROTOCOL_ERROR"),
    "5.3.1: HEADERS with half a priority": (frame(1, 0x25, 1, SELF[:4]), "FRAME_SIZE_ERROR"),
    "5.4.1: an invalid PING": (frame(6, 0, 0, b"1234567"), "FRAME_SIZE_ERROR"),
    "5.5: an unknown frame within a block": (HALF_BLOCK + EXTENSION, "PROTOCOL_ERROR"),
}


@pytest.mark.parametrize(("said", "code"), CONNECTION_ERRORS.values(), ids=CONNECTION_ERRORS)
def test_connection_errors(said: bytes | list[bytes], code: str) -> None:
    peer = Peer().say(*([said] if isinstance(said, bytes) else said))
    assert peer.failure is ErrorCode[code]
    assert peer.server.receive(GET) == []
    assert peer.server.streams == 0


# Without the responses, so that the streams stay open on our side.
STREAM_ERRORS = {
    "5.1 half closed: DATA": (GET + data(), "STREAM_CLOSED"),
    "5.1 half closed: HEADERS": (GET + GET, "STREAM_CLOSED"),
    "5.1 reset: DATA": (OPEN + RESET + data(), "STREAM_CLOSED"),
    "5.1 reset: HEADERS": (OPEN + RESET + GET, "STREAM_CLOSED"),
}


@pytest.mark.parametrize(("said", "code"), STREAM_ERRORS.values(), ids=STREAM_ERRORS)
def test_stream_errors(said: bytes, code: str) -> None:
    peer = Peer()
    peer.server.receive(said)
    peer.listen()
    assert peer.failure is None
    assert peer.resets == {1: ErrorCode[code]}
    assert peer.say(headers(3)).served == [3]


SERVED = {
    "3.4: the greeting, and a request": GET,
    "4.1: an unknown frame": EXTENSION + GET,
    "4.1: undefined flags": frame(6, 0x16, 0, b"12345678") + GET,
    "4.1: a reserved bit": frame(6, 0, 0x80000000, b"12345678") + GET,
    "4.2: DATA of 2^14 bytes": OPEN + data(1, LARGE[1:]),
    "5.1: PRIORITY on an idle stream": PRIORITY + GET,
    "5.1: PRIORITY for a later stream": frame(2, 0, 5, word(0) + b"\0") + GET,
    "5.1: PRIORITY on a half-closed stream": GET + PRIORITY,
    "5.1: WINDOW_UPDATE on a closed stream": GET + frame(8, 0, 1, word(100)),
    "5.5: an unknown frame on a stream": OPEN + frame(0x16, 0, 1, b"?") + data(),
}


@pytest.mark.parametrize("said", SERVED.values(), ids=SERVED)
def test_served(said: bytes) -> None:
    peer = Peer().say(said)
    assert (peer.failure, peer.resets, peer.served) == (None, {}, [1])


@pytest.mark.parametrize("said", SERVED.values(), ids=SERVED)
def test_served_in_whatever_pieces_it_comes(said: bytes) -> None:
    peer = Peer(greeting=b"")
    for byte in frames.PREFACE + settings() + said:
        peer.say(bytes([byte]))
    assert (peer.failure, peer.resets, peer.served) == (None, {}, [1])


def test_a_closed_stream_may_still_be_reset() -> None:
    """5.1: the peer may not know yet that it is over."""
    peer = Peer().say(GET, RESET, headers(3))
    assert (peer.failure, peer.served) == (None, [1, 3])


def test_the_server_begins_with_settings() -> None:
    """3.4: its preface is a SETTINGS frame, before it has heard anything."""
    assert Peer(greeting=b"").answers[0].kind == frames.SETTINGS


@pytest.mark.parametrize(
    "said", [b"INVALID", b"GET / HTTP/1.1\r\n\r\n", frames.PREFACE[:-1] + b"X"]
)
def test_another_preface_is_refused(said: bytes) -> None:
    assert Peer(greeting=said).failure is ErrorCode.PROTOCOL_ERROR


def test_settings_have_to_follow_the_preface() -> None:
    assert Peer(greeting=frames.PREFACE + GET).failure is ErrorCode.PROTOCOL_ERROR


def test_one_stream_too_many_is_refused_and_can_be_tried_again() -> None:
    """5.1.2: the limit that was announced holds."""
    peer = Peer(Limits(max_concurrent_streams=2))
    assert MAX_CONCURRENT_STREAMS.to_bytes(2, "big") + word(2) in peer.answers[0].payload
    peer.say(*(headers(stream_id, POST, ended=False) for stream_id in (1, 3, 5)))
    assert peer.resets == {5: ErrorCode.REFUSED_STREAM}
    assert len(peer.of(RequestReceived)) == 2
    peer.say(data(1), headers(7))
    assert peer.served == [1, 7]


def test_an_error_of_a_stream_leaves_the_others_alone() -> None:
    peer = Peer().say(OPEN, headers(3, [(b"a", b"b")]), data(1))
    assert peer.resets == {3: ErrorCode.PROTOCOL_ERROR}
    assert peer.served == [1]
    assert peer.complaint == "no :method"


def test_what_comes_for_a_stream_that_we_reset_is_dropped() -> None:
    """5.1: the peer may not have heard yet; its blocks count for the table all the same."""
    peer = Peer().say(OPEN)
    peer.server.reset(1, ErrorCode.CANCEL)
    indexed = b"\x40" + block([(b"x-a", b"1")])[1:]
    trailers = frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, indexed)
    peer.say(data(ended=False), trailers, headers(3, extra=b"\xbe"))
    assert peer.served == [3]
    (_, request) = peer.of(RequestReceived)
    assert isinstance(request, RequestReceived)
    assert request.request.headers.get("x-a") == "1"
