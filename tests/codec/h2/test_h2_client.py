"""The client's side (RFC 9113): requests out, responses in, and what a server may not do."""

from __future__ import annotations

import hpack
import pytest
from raw_peer import CODEC, Frame, data, frame, headers, parse, settings, word

from trioproxy.codec.errors import UnsafeMessage
from trioproxy.codec.h2 import frames
from trioproxy.codec.h2 import settings as names
from trioproxy.codec.h2.client import ClientConnection
from trioproxy.codec.h2.events import (
    ConnectionFailed,
    DataReceived,
    ErrorCode,
    Event,
    GoawayReceived,
    ResponseReceived,
    SettingsReceived,
    StreamReset,
    TrailersReceived,
)
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.messages import Framing, Request
from trioproxy.headers import Headers

OK = [(b":status", b"200")]
GET = Request(authority="example.org")


def client(*said: bytes) -> ClientConnection:
    """A client that has heard that, and said what it begins with."""
    connection = ClientConnection(Limits(), CODEC)
    for piece in said or (settings(),):
        connection.receive(piece)
    connection.data_to_send()
    return connection


def asked(request: Request = GET, *, ended: bool = True) -> ClientConnection:
    """A client that has sent a request on stream 1."""
    connection = client()
    assert connection.send_request(request, ended=ended) == 1
    return connection


def sent(connection: ClientConnection) -> list[Frame]:
    return parse(connection.data_to_send())


def fields_of(block: bytes) -> list[tuple[bytes, bytes]]:
    return [tuple(field) for field in hpack.Decoder().decode(block, raw=True)]


def sole(events: list[Event], kind: type[Event]) -> Event:
    (event,) = [event for event in events if isinstance(event, kind)]
    return event


def test_the_greeting() -> None:
    greeting = ClientConnection(Limits(), CODEC).data_to_send()
    assert greeting.startswith(frames.PREFACE)
    announced = parse(greeting.removeprefix(frames.PREFACE))[0]
    assert announced.kind == frames.SETTINGS
    assert names.ENABLE_PUSH.to_bytes(2, "big") + word(0) in announced.payload
    assert names.MAX_CONCURRENT_STREAMS.to_bytes(2, "big") + word(100) not in announced.payload


REQUESTS = {
    "a plain one": (
        Request(path="/a?b", authority="a.b:80", scheme="https"),
        [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":path", b"/a?b"),
            (b":authority", b"a.b:80"),
        ],
    ),
    "one with all there is": (
        Request(
            method="PUT",
            authority="a.b",
            headers=Headers([(b"cookie", b"a=b"), (b"accept", b"*/*")]),
            content_length=5,
            te_trailers=True,
            expect_continue=True,
        ),
        [
            (b":method", b"PUT"),
            (b":scheme", b"http"),
            (b":path", b"/"),
            (b":authority", b"a.b"),
            (b"cookie", b"a=b"),
            (b"accept", b"*/*"),
            (b"te", b"trailers"),
            (b"expect", b"100-continue"),
            (b"content-length", b"5"),
        ],
    ),
    "one of unknown length": (
        Request(method="POST", authority="a.b", content_length=5, chunked=True),
        [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a.b")],
    ),
    "CONNECT": (
        Request(method="CONNECT", path="", authority="a.b:443"),
        [(b":method", b"CONNECT"), (b":authority", b"a.b:443")],
    ),
    "extended CONNECT": (
        Request(method="CONNECT", path="/chat", authority="a.b", upgrade="websocket"),
        [
            (b":method", b"CONNECT"),
            (b":scheme", b"http"),
            (b":protocol", b"websocket"),
            (b":path", b"/chat"),
            (b":authority", b"a.b"),
        ],
    ),
}


@pytest.mark.parametrize(("request_", "fields"), REQUESTS.values(), ids=REQUESTS)
def test_requests(request_: Request, fields: list[tuple[bytes, bytes]]) -> None:
    (head,) = sent(asked(request_))
    assert (head.kind, head.flags) == (frames.HEADERS, frames.END_HEADERS | frames.END_STREAM)
    assert fields_of(head.payload) == fields


UNSAFE = {
    "a line end in the path": Request(path="/a HTTP/1.1\r\n", authority="a"),
    "no path": Request(path="", authority="a"),
    "a line end in the method": Request(method="G\nET", authority="a"),
    "a scheme that is none": Request(scheme="ht tp", authority="a"),
    "an authority that is none": Request(authority="a/b"),
    "a wide authority": Request(authority="ä"),
    "a protocol that is none": Request(method="CONNECT", upgrade="a\n", authority="a"),
    "host": Request(authority="a", headers=Headers([(b"host", b"b")])),
    "a line end in a value": Request(authority="a", headers=Headers([(b"x", b"a\nb")])),
}


@pytest.mark.parametrize("request_", UNSAFE.values(), ids=UNSAFE)
def test_unsafe_requests_open_no_stream(request_: Request) -> None:
    connection = client()
    with pytest.raises(UnsafeMessage):
        connection.send_request(request_)
    assert connection.data_to_send() == b""
    assert connection.send_request(GET) == 1


def test_streams_are_numbered_oddly() -> None:
    connection = client()
    assert [connection.send_request(GET, ended=True) for _ in range(3)] == [1, 3, 5]


def test_the_server_says_how_many_streams_there_may_be() -> None:
    connection = client()
    assert connection.peer.max_streams == 100
    events = connection.receive(settings((names.MAX_CONCURRENT_STREAMS, 2)))
    assert sole(events, SettingsReceived)
    for _ in range(2):
        assert connection.can_open
        connection.send_request(GET, ended=True)
    assert (connection.can_open, connection.peer.max_streams) == (False, 2)
    connection.receive(headers(1, OK))
    assert connection.can_open


def test_numbers_run_out() -> None:
    connection = client()
    connection._next = frames.MAX_STREAM_ID
    assert connection.can_open
    connection.send_request(GET, ended=True)
    assert not connection.can_open


def test_extended_connect_has_to_be_allowed() -> None:
    assert not client().extended_connect
    assert client(settings((names.ENABLE_CONNECT_PROTOCOL, 1))).extended_connect


def test_a_response() -> None:
    connection = asked()
    interim = headers(1, [(b":status", b"103"), (b"link", b"</a>")], ended=False)
    final = headers(1, [*OK, (b"server", b"x"), (b"content-length", b"5")], ended=False)
    trailers = headers(1, [(b"x-sum", b"1")])
    said = [interim, final, data(1, b"hello", ended=False), trailers]
    first, second, body, last = connection.receive(b"".join(said))
    assert isinstance(first, ResponseReceived)
    assert isinstance(second, ResponseReceived)
    assert (first.response.status, second.response.status) == (103, 200)
    assert second.response.headers.fields == [(b"server", b"x")]
    assert second.response.framing is Framing.LENGTH
    assert isinstance(body, DataReceived)
    assert body.data == b"hello"
    assert isinstance(last, TrailersReceived)
    assert connection.streams == 0


def test_a_block_that_comes_again_makes_a_response_of_its_own() -> None:
    """What it answers is part of what it means."""
    connection = client()
    block = b"\x88\xbe"
    (first,) = answered(connection, Request(authority="a"), b"\x88\x40\x01x\x01y")
    for method in ("GET", "GET", "HEAD", "GET"):
        (event,) = answered(connection, Request(method=method, authority="a"), block)
        assert isinstance(event, ResponseReceived)
        assert event.response.headers.fields == [(b"x", b"y")]
        assert event.response.bodiless is (method == "HEAD")
        event.response.headers.set("x", "edited")
        event.response.status = 500
    assert isinstance(first, ResponseReceived)


def answered(connection: ClientConnection, request: Request, block: bytes) -> list[Event]:
    """What comes of a response to a request, made of that block alone."""
    stream_id = connection.send_request(request, ended=True)
    flags = frames.END_HEADERS | frames.END_STREAM
    return connection.receive(frame(frames.HEADERS, flags, stream_id, block))


LENGTHS = {
    "none": ("GET", [], False, Framing.CHUNKED),
    "one": ("GET", [(b"content-length", b"5")], False, Framing.LENGTH),
    "no body": ("GET", [], True, Framing.UNTIL_CLOSE),
    "HEAD": ("HEAD", [(b"content-length", b"5")], True, Framing.NONE),
    "tunnel": ("CONNECT", [], False, Framing.NONE),
}


@pytest.mark.parametrize(("method", "fields", "ended", "framing"), LENGTHS.values(), ids=LENGTHS)
def test_how_a_body_is_framed(
    method: str, fields: list[tuple[bytes, bytes]], ended: bool, framing: Framing
) -> None:
    connection = asked(Request(method=method, authority="a.b:1"))
    (event,) = connection.receive(headers(1, OK + fields, ended=ended))
    assert isinstance(event, ResponseReceived)
    assert event.ended is ended
    assert event.response.framing is framing


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_a_length_without_a_body(status: bytes) -> None:
    """A 304 says the length of what it does not send."""
    connection = asked()
    said = headers(1, [(b":status", status), (b"content-length", b"5")])
    (event,) = connection.receive(said)
    assert isinstance(event, ResponseReceived)
    assert event.response.content_length == (5 if status == b"304" else None)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_a_body_where_there_can_be_none(method: str, status: int) -> None:
    """Whatever it were taken for, it would be the beginning of something else."""
    connection = asked(Request(method=method, authority="a.b"))
    connection.receive(headers(1, [(b":status", b"%d" % status)], ended=False))
    reset = sole(connection.receive(data(1)), StreamReset)
    assert isinstance(reset, StreamReset)
    assert reset.code == ErrorCode.PROTOCOL_ERROR


def test_a_body_without_bytes_where_there_can_be_none() -> None:
    connection = asked(Request(method="HEAD", authority="a.b"))
    connection.receive(headers(1, [*OK, (b"content-length", b"5")], ended=False))
    (event,) = connection.receive(data(1, b""))
    assert isinstance(event, DataReceived)
    assert event.ended


MALFORMED = {
    "no status": headers(1, [(b"server", b"x")]),
    "two statuses": headers(1, OK + OK),
    "a status that is none": headers(1, [(b":status", b"20")]),
    "101": headers(1, [(b":status", b"101")], ended=False),
    "a request's pseudo-header field": headers(1, [*OK, (b":path", b"/")]),
    "connection": headers(1, [*OK, (b"connection", b"close")]),
    "upper case": headers(1, [*OK, (b"Server", b"x")]),
    "an interim response that ends": headers(1, [(b":status", b"100")]),
    "two lengths": headers(1, [*OK, (b"content-length", b"1"), (b"content-length", b"1")]),
    "no body of a length": headers(1, [*OK, (b"content-length", b"1")]),
    "less than the length": headers(1, [*OK, (b"content-length", b"5")], ended=False) + data(),
    "more than the length": headers(1, [*OK, (b"content-length", b"3")], ended=False) + data(),
    "a body of 304": headers(1, [(b":status", b"304"), (b"content-length", b"4")], ended=False)
    + data(),
    "DATA before HEADERS": data(),
    "DATA before the final HEADERS": headers(1, [(b":status", b"100")], ended=False) + data(),
    "too large": headers(1, [*OK, *[(b"x-a", bytes([97]) * 9000)] * 10]),
}


@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED)
def test_malformed_responses(said: bytes) -> None:
    """Reset, so that nothing of them is believed."""
    connection = ClientConnection(Limits(max_header_list_size=50_000, max_frame_size=2**20), CODEC)
    connection.receive(settings())
    connection.send_request(GET, ended=True)
    connection.data_to_send()
    reset = sole(connection.receive(said), StreamReset)
    assert isinstance(reset, StreamReset)
    assert (reset.stream_id, reset.code, reset.by_peer) == (1, ErrorCode.PROTOCOL_ERROR, False)
    assert reset.detail
    assert (frames.RST_STREAM, 1) in [(each.kind, each.stream_id) for each in sent(connection)]
    assert (connection.streams, connection.failed) == (0, False)


def test_no_end_of_resets_fails_a_server() -> None:
    """Whoever has trouble resets much: no attack upon its clients."""
    connection = client()
    for number in range(1000):
        stream_id = connection.send_request(GET, ended=True)
        assert stream_id == 2 * number + 1
        connection.receive(frame(frames.RST_STREAM, 0, stream_id, word(ErrorCode.CANCEL)))
    assert not connection.failed


FATAL = {
    "PUSH_PROMISE": frame(frames.PUSH_PROMISE, 4, 1, word(2)),
    "a stream of its own": headers(2, OK),
    "a stream that is not open": headers(3, OK),
    "DATA behind the end": headers(1, OK) + data(),
    "PING of 7 bytes": frame(frames.PING, 0, 0, bytes(7)),
}


@pytest.mark.parametrize("said", FATAL.values(), ids=FATAL)
def test_connection_errors(said: bytes) -> None:
    connection = asked()
    assert sole(connection.receive(said), ConnectionFailed)
    assert connection.failed
    assert not connection.can_open


def test_the_server_has_to_begin_with_settings() -> None:
    connection = ClientConnection(Limits(), CODEC)
    assert sole(connection.receive(frame(frames.PING, 0, 0, bytes(8))), ConnectionFailed)


def test_goaway_says_which_requests_can_be_tried_again() -> None:
    """6.8: those beyond the last stream; the others go on."""
    connection = client()
    for _ in range(3):
        connection.send_request(GET, ended=True)
    first, second, goaway = connection.receive(frame(frames.GOAWAY, 0, 0, word(1) + word(0)))
    for event, stream_id in ((first, 3), (second, 5)):
        assert isinstance(event, StreamReset)
        assert (event.stream_id, event.by_peer) == (stream_id, True)
        assert event.code == ErrorCode.REFUSED_STREAM
    assert isinstance(goaway, GoawayReceived)
    assert not connection.can_open
    assert sole(connection.receive(headers(1, OK)), ResponseReceived)
    assert connection.streams == 0


def test_goaway_in_two_steps() -> None:
    """A64, from the other side: the first step costs no request."""
    connection = asked()
    (event,) = connection.receive(frame(frames.GOAWAY, 0, 0, word(2**31 - 1) + word(0)))
    assert isinstance(event, GoawayReceived)
    assert (connection.can_open, connection.streams) == (False, 1)
    (event,) = connection.receive(frame(frames.GOAWAY, 0, 0, word(1) + word(0)))
    assert connection.streams == 1


def test_a_refused_stream() -> None:
    connection = asked()
    said = frame(frames.RST_STREAM, 0, 1, word(ErrorCode.REFUSED_STREAM))
    reset = sole(connection.receive(said), StreamReset)
    assert isinstance(reset, StreamReset)
    assert (reset.code, reset.by_peer) == (ErrorCode.REFUSED_STREAM, True)


def test_a_response_in_full_while_the_request_goes_on() -> None:
    """8.1: RST_STREAM(NO_ERROR) says that no more of it is wanted."""
    connection = asked(Request(method="POST", authority="a.b"), ended=False)
    event = sole(connection.receive(headers(1, OK)), ResponseReceived)
    assert isinstance(event, ResponseReceived)
    assert connection.send_data(1, b"more") == 4
    said = frame(frames.RST_STREAM, 0, 1, word(ErrorCode.NO_ERROR))
    assert sole(connection.receive(said), StreamReset)
    assert connection.send_data(1, b"more") == -1
