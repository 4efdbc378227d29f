"""Requests by RFC 9113 section 8, RFC 8441, and what they become: h2spec's cases and others."""

from __future__ import annotations

import pytest
from raw_peer import POST, TARGET, Peer, data, frame, headers

from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.events import (
    ErrorCode,
    RequestReceived,
    RequestRejected,
    StreamReset,
    TrailersReceived,
)
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.messages import Framing, Request

METHOD, SCHEME, PATH, AUTHORITY = TARGET
TUNNEL = [(b":method", b"CONNECT"), (b":authority", b"example.org:443")]
WEBSOCKET = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *TARGET[1:]]


def request_of(fields: list[tuple[bytes, bytes]], *, ended: bool = True) -> Request:
    """What such a head is taken for."""
    peer = Peer()
    (event,) = peer.server.receive(headers(1, fields, ended=ended))
    assert isinstance(event, RequestReceived), peer.server.data_to_send()
    assert event.ended is ended
    return event.request


MALFORMED = {
    "8.2: a name in upper case": [*TARGET, (b"X-Test", b"ok")],
    "8.2: no name": [*TARGET, (b"", b"ok")],
    "8.2: a space in a name": [*TARGET, (b"x test", b"ok")],
    "8.2: a colon in a name": [*TARGET, (b"x:test", b"ok")],
    "8.2: a wide name": [*TARGET, (b"x\xe9", b"ok")],
    "8.2.1: CR in a value": [*TARGET, (b"x-test", b"a\rb")],
    "8.2.1: LF in a value": [*TARGET, (b"x-test", b"a\nx-b: c")],
    "8.2.1: NUL in a value": [*TARGET, (b"x-test", b"a\0b")],
    "8.2.1: a space before a value": [*TARGET, (b"x-test", b" a")],
    "8.2.1: a tab behind a value": [*TARGET, (b"x-test", b"a\t")],
    "8.2.2: connection": [*TARGET, (b"connection", b"keep-alive")],
    "8.2.2: keep-alive": [*TARGET, (b"keep-alive", b"timeout=5")],
    "8.2.2: proxy-connection": [*TARGET, (b"proxy-connection", b"keep-alive")],
    "8.2.2: transfer-encoding": [*TARGET, (b"transfer-encoding", b"chunked")],
    "8.2.2: upgrade": [*TARGET, (b"upgrade", b"websocket")],
    "8.2.2: te with more than trailers": [*TARGET, (b"te", b"trailers, deflate;q=0.5")],
    "8.3: an unknown pseudo-header field": [*TARGET, (b":test", b"ok")],
    "8.3: one of responses": [*TARGET, (b":status", b"200")],
    "8.3: one behind a field": [METHOD, SCHEME, AUTHORITY, (b"x-test", b"ok"), PATH],
    "8.3: one behind a mark": [METHOD, SCHEME, AUTHORITY, (b"te", b"trailers"), PATH],
    "8.3.1: an empty path": [METHOD, SCHEME, (b":path", b""), AUTHORITY],
    "8.3.1: no method": [SCHEME, PATH, AUTHORITY],
    "8.3.1: no scheme": [METHOD, PATH, AUTHORITY],
    "8.3.1: no path": [METHOD, SCHEME, AUTHORITY],
    "8.3.1: two methods": [METHOD, METHOD, SCHEME, PATH, AUTHORITY],
    "8.3.1: two schemes": [METHOD, SCHEME, SCHEME, PATH, AUTHORITY],
    "8.3.1: two paths": [METHOD, SCHEME, PATH, PATH, AUTHORITY],
    "8.3.1: two authorities": [*TARGET, AUTHORITY],
    "8.3.1: no authority at all": [METHOD, SCHEME, PATH],
    "8.3.1: an empty authority": [METHOD, SCHEME, PATH, (b":authority", b"")],
    "8.3.1: user information": [METHOD, SCHEME, PATH, (b":authority", b"a@example.org")],
    "8.3.1: a Host of another name": [*TARGET, (b"host", b"example.net")],
    "8.3.1: two Hosts": [*TARGET, (b"host", b"example.org"), (b"host", b"example.org")],
    "8.3.1: a path that is none": [METHOD, SCHEME, (b":path", b"a"), AUTHORITY],
    "8.3.1: an absolute path": [METHOD, SCHEME, (b":path", b"http://a/"), AUTHORITY],
    "8.3.1: a space in the path": [METHOD, SCHEME, (b":path", b"/a HTTP/1.1"), AUTHORITY],
    "8.3.1: a fragment": [METHOD, SCHEME, (b":path", b"/a#b"), AUTHORITY],
    "8.3.1: * for GET": [METHOD, SCHEME, (b":path", b"*"), AUTHORITY],
    "8.3.1: a space in the method": [(b":method", b"GET /"), SCHEME, PATH, AUTHORITY],
    "8.3.1: a scheme that is none": [METHOD, (b":scheme", b"ht tp"), PATH, AUTHORITY],
    "8.1.1: no body of a length": [*TARGET, (b"content-length", b"1")],
    "8.1.1: a length that is none": [*TARGET, (b"content-length", b"-1")],
    "8.1.1: a list of lengths": [*TARGET, (b"content-length", b"0, 0")],
    "8.1.1: two lengths": [*TARGET, (b"content-length", b"0"), (b"content-length", b"0")],
    "8.5: CONNECT with a scheme": [*TUNNEL, SCHEME],
    "8.5: CONNECT with a path": [*TUNNEL, PATH],
    "8.5: CONNECT without a port": [TUNNEL[0], AUTHORITY],
    "8.5: CONNECT without an authority": [TUNNEL[0], (b"host", b"example.org:443")],
    "8441: :protocol without CONNECT": [*TARGET, (b":protocol", b"websocket")],
    "8441: no path": [WEBSOCKET[0], WEBSOCKET[1], SCHEME, AUTHORITY],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
def test_malformed(fields: list[tuple[bytes, bytes]]) -> None:
    """A request that is reset, and that nobody needs to see."""
    peer = Peer().say(headers(1, fields), headers(3))
    assert peer.resets == {1: ErrorCode.PROTOCOL_ERROR}
    assert peer.served == [3]
    (rejected,) = peer.of(RequestRejected)
    assert isinstance(rejected, RequestRejected)
    assert rejected.status == 400
    assert rejected.detail


@pytest.mark.parametrize("ended", [True, False])
def test_an_expectation_that_cannot_be_met_is_answered(ended: bool) -> None:
    peer = Peer().say(headers(1, [*POST, (b"expect", b"the-best")], ended=ended))
    (rejected,) = peer.of(RequestRejected)
    assert isinstance(rejected, RequestRejected)
    assert rejected.status == 417
    (answer,) = peer.heard(frames.HEADERS)
    assert b"417" in answer.payload
    assert answer.flags & frames.END_STREAM
    assert peer.resets == ({} if ended else {1: ErrorCode.NO_ERROR})


BODIES = {
    "another length than that of one DATA": [data(1, b"test")],
    "another length than that of several DATA": [data(1, b"te", ended=False), data(1, b"st")],
    "more on the way": [data(1, b"test", ended=False)],
    "less at the end": [data(1, b"te")],
    "less before trailers": [data(1, b"te", ended=False), headers(1, [(b"x-a", b"b")])],
    "none": [data(1, b"")],
}


@pytest.mark.parametrize("said", BODIES.values(), ids=BODIES)
def test_a_body_that_differs_from_its_length(said: list[bytes]) -> None:
    """8.1.1: the request is malformed, and a stream error."""
    head = headers(1, [*POST, (b"content-length", b"3")], ended=False)
    peer = Peer().say(head, *said)
    assert peer.resets == {1: ErrorCode.PROTOCOL_ERROR}
    assert peer.served == []
    (reset,) = peer.of(StreamReset)
    assert isinstance(reset, StreamReset)
    assert not reset.by_peer


EXCHANGES = {
    "GET": [headers()],
    "HEAD": [headers(1, [(b":method", b"HEAD"), *TARGET[1:]])],
    "POST": [headers(1, POST, ended=False), data()],
    "POST of a length": [
        headers(1, [*POST, (b"content-length", b"4")], ended=False),
        data(1, b"te", ended=False),
        data(1, b"st", ended=False),
        data(1, b""),
    ],
    "POST with trailers": [
        headers(1, POST, ended=False),
        data(1, b"te", ended=False),
        headers(1, [(b"x-test", b"ok")]),
    ],
}


@pytest.mark.parametrize("said", EXCHANGES.values(), ids=EXCHANGES)
def test_exchanges(said: list[bytes]) -> None:
    """8.1: requests of all sorts get their response."""
    peer = Peer().say(*said)
    assert (peer.failure, peer.resets, peer.served) == (None, {}, [1])


def test_trailers_are_told_without_what_has_no_place_there() -> None:
    peer = Peer().say(headers(1, POST, ended=False))
    peer.say(headers(1, [(b"x-sum", b"1"), (b"content-length", b"5"), (b"host", b"x")]))
    (event,) = peer.of(TrailersReceived)
    assert isinstance(event, TrailersReceived)
    assert event.trailers.fields == [(b"x-sum", b"1")]


@pytest.mark.parametrize("field", [(b":method", b"GET"), (b"X-A", b"b"), (b"upgrade", b"x")])
def test_malformed_trailers(field: tuple[bytes, bytes]) -> None:
    """8.3: no pseudo-header field stands there, among others."""
    peer = Peer().say(headers(1, POST, ended=False), headers(1, [field]))
    assert peer.resets == {1: ErrorCode.PROTOCOL_ERROR}


def test_what_a_request_becomes() -> None:
    request = request_of([
        METHOD,
        (b":scheme", b"HTTPS"),
        (b":authority", b"example.org:8443"),
        (b":path", b"/a?b=c"),
        (b"accept", b"*/*"),
        (b"cookie", b"a=b"),
        (b"x-b", b"1"),
        (b"cookie", b"c=d"),
        (b"te", b"trailers"),
    ])  # fmt: skip
    assert (request.method, request.path, request.scheme) == ("GET", "/a?b=c", "https")
    assert request.authority == "example.org:8443"
    assert request.te_trailers
    assert request.framing is Framing.NONE
    fields = [(b"accept", b"*/*"), (b"x-b", b"1"), (b"cookie", b"a=b; c=d")]
    assert request.headers.fields == fields


def test_host_stands_for_an_authority() -> None:
    """8.3.1: and where there are both, they agree but for case and the default port."""
    assert request_of([METHOD, SCHEME, PATH, (b"host", b"a.b")]).authority == "a.b"
    assert request_of([*TARGET, (b"host", b"Example.ORG:80")]).authority == "example.org"
    assert len(request_of([*TARGET, (b"host", b"example.org")]).headers) == 0


@pytest.mark.parametrize(
    ("fields", "framing"),
    [([], Framing.CHUNKED), ([(b"content-length", b"3")], Framing.LENGTH)],
)
def test_the_framing_of_a_body(fields: list[tuple[bytes, bytes]], framing: Framing) -> None:
    """What it needs to be sent on by HTTP/1.1."""
    assert request_of(POST + fields, ended=False).framing is framing


def test_an_expectation_is_met_only_where_a_body_follows() -> None:
    fields = [*POST, (b"expect", b"100-continue")]
    assert request_of(fields, ended=False).expect_continue
    assert not request_of(fields).expect_continue


def test_connect() -> None:
    request = request_of(TUNNEL, ended=False)
    assert (request.method, request.authority, request.path) == ("CONNECT", "example.org:443", "")
    assert not request.chunked


@pytest.mark.parametrize("host", [b"example.org", b"example.org:443"])
def test_host_beside_connect_may_leave_the_port_out(host: bytes) -> None:
    assert request_of([*TUNNEL, (b"host", host)], ended=False).authority == "example.org:443"


def test_extended_connect() -> None:
    """RFC 8441: the protocol stands in `upgrade`."""
    request = request_of(WEBSOCKET, ended=False)
    assert (request.method, request.upgrade, request.path) == ("CONNECT", "websocket", "/")
    assert not request.chunked


def test_extended_connect_where_it_was_not_announced() -> None:
    peer = Peer(Limits(extended_connect=False)).say(headers(1, WEBSOCKET, ended=False))
    assert peer.resets == {1: ErrorCode.PROTOCOL_ERROR}


def test_asterisk() -> None:
    request = request_of([(b":method", b"OPTIONS"), SCHEME, (b":path", b"*"), AUTHORITY])
    assert (request.method, request.path) == ("OPTIONS", "*")


@pytest.mark.parametrize("kind", [b"\x04", b"\x14"])
def test_literals_that_come_again(kind: bytes) -> None:
    """What was asked for in between counts, and where it is secret nothing of it is kept."""
    peer = Peer()
    paths = [b"/a", b"/a", b"/a", b"/b", b"/a", b"/b", b"/b", b"/b", b"/c"]
    for number, path in enumerate(paths):
        block = b"\x82\x86" + kind + bytes([len(path)]) + path + b"\x01\x01a"
        (event,) = peer.server.receive(frame(1, 5, 2 * number + 1, block))
        assert isinstance(event, RequestReceived)
        assert event.request.path == path.decode()
        event.request.path = "/edited"
    assert len(peer.server._known._messages) == (2 if kind == b"\x04" else 0)


def test_long_heads_are_not_kept() -> None:
    peer = Peer()
    again = b"\x82\x86\x84\x01\x01a" + 20 * (b"\x00\x01x\x64" + 100 * b"y")
    for number in range(3):
        (event,) = peer.server.receive(frame(1, 5, 2 * number + 1, again))
        assert isinstance(event, RequestReceived)
    assert not peer.server._known._messages


def test_a_block_that_changes_the_table_does_so_each_time() -> None:
    """However often it comes, and as long as it says the same."""
    peer = Peer()
    again = b"\x82\x86\x84\x01\x01a\x40\x01x\x01y"
    for number in range(3):
        (event,) = peer.server.receive(frame(1, 5, 2 * number + 1, again))
    (event,) = peer.server.receive(frame(1, 5, 9, b"\x82\x86\x84\x01\x01a\xbe\xbf\xc0"))
    assert isinstance(event, RequestReceived)
    assert event.request.headers.fields == [(b"x", b"y")] * 3


def test_a_block_that_comes_again_makes_a_request_of_its_own() -> None:
    """Blocks of nothing but indices are remembered: until the table changes."""
    start = frame(1, 5, 1, b"\x82\x86\x84\x41\x01a\x40\x01x\x01y")
    peer = Peer()
    (first,) = peer.server.receive(start)
    indexed = b"\x82\x86\x84\xbf\xbe"
    requests = []
    for stream_id in (3, 5, 7):
        (event,) = peer.server.receive(frame(1, 5, stream_id, indexed))
        assert isinstance(event, RequestReceived)
        requests.append(event.request)
        event.request.headers.set("x", "edited")
        event.request.authority = "edited"
    assert isinstance(first, RequestReceived)
    (fourth,) = peer.server.receive(frame(1, 4, 9, indexed))
    assert isinstance(fourth, RequestReceived)
    assert (fourth.request.framing, fourth.ended) == (Framing.CHUNKED, False)
    (event,) = peer.server.receive(frame(1, 5, 11, indexed[:4] + b"\x40\x01x\x01z"))
    (event,) = peer.server.receive(frame(1, 5, 13, b"\x82\x86\x84\xc0\xbe"))
    assert isinstance(event, RequestReceived)
    assert event.request.headers.fields == [(b"x", b"z")]
    (event,) = peer.server.receive(frame(1, 5, 15, b"\x82\x86\x84\xc0\xbf"))
    assert isinstance(event, RequestReceived)
    assert (event.request.authority, event.request.headers.fields) == ("a", [(b"x", b"y")])
