"""What holds for all messages: any pieces, there and back, and next to h11."""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import Reader

from trioproxy.codec.body import encode_chunk, encode_trailers
from trioproxy.codec.h1 import Codec
from trioproxy.codec.messages import Request, Response
from trioproxy.headers import Headers

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
OWN = {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade"}
OWN |= {"proxy-connection", "te", "expect"}

names = st.text(TOKEN, min_size=1, max_size=12).filter(lambda name: name not in OWN)
values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20
).map(lambda value: value.strip(" \t"))
headers = st.lists(st.tuples(names, values), max_size=6).map(
    lambda fields: Headers([(name.encode(), value.encode("latin-1")) for name, value in fields])
)
paths = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"), max_size=20
).map("/".__add__)
hosts = st.from_regex(r"[a-z0-9.-]{1,20}(:[1-9][0-9]{0,3})?", fullmatch=True)
lengths = st.none() | st.integers(0, 10**18 - 1)

requests = st.builds(
    Request,
    method=st.sampled_from(["GET", "POST", "OPTIONS", "PURGE"]),
    path=paths,
    authority=hosts,
    headers=headers,
    content_length=lengths,
    expect_continue=st.booleans(),
    te_trailers=st.booleans(),
    upgrade=st.sampled_from(["", "websocket", "h2c, foo/2"]),
)
responses = st.builds(
    Response,
    status=st.integers(200, 599).filter(lambda status: status not in (204, 426)),
    reason=values,
    headers=headers,
    content_length=lengths,
)

ODD_LINES = [
    b"Content-Length: 3", b"Content-Length: 03", b"content-length:5", b"Content-Length: 3, 3",
    b"Content-Length: +3", b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED",
    b"Transfer-Encoding: identity", b"Transfer-Encoding : chunked", b"Transfer-Encoding: x",
    b"Host: x", b"Host: y", b"Connection: close", b"Connection: host", b" folded", b"a : b",
    b"a: \x01", b"a: \x00", b"a:b\rc", b"Expect: 100-continue", b"TE: trailers", b"a: \xff",
]  # fmt: skip
ODD_BODIES = [
    b"", b"abc", b"abcde", b"3\r\nabc\r\n0\r\n\r\n", b"3;x=y\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabc\r\n0\r\nt: 1\r\n\r\n", b"3 \r\nabc\r\n0\r\n\r\n", b"3\nabc\n0\n\n",
    b"03\r\nabc\r\n00\r\n\r\n", b"+3\r\nabc\r\n0\r\n\r\n", b"3\r\nabcd\n0\r\n\r\n",
]  # fmt: skip
ODD_STARTS = [
    b"POST / HTTP/1.1", b"GET /a?b HTTP/1.1", b"POST / HTTP/1.0", b"POST http://x/ HTTP/1.1",
    b"OPTIONS * HTTP/1.1", b"POST /\xff HTTP/1.1", b"POST  / HTTP/1.1", b"POST / HTTP/1.2",
]  # fmt: skip

wires = st.builds(
    lambda start, lines, end, body: b"\r\n".join([start, *lines]) + end + body,
    st.sampled_from(ODD_STARTS),
    st.lists(st.sampled_from(ODD_LINES), max_size=4).map(lambda lines: [b"Host: x", *lines])
    | st.lists(st.sampled_from(ODD_LINES), max_size=5),
    st.sampled_from([b"\r\n\r\n", b"\r\n\r\n", b"\r\n\r\n", b"\n\n", b"\n\r\n"]),
    st.sampled_from(ODD_BODIES),
)


def cut(wire: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(edge % (len(wire) + 1) for edge in at), len(wire)]
    return [wire[start:end] for start, end in itertools.pairwise(edges)]


@settings(max_examples=200, deadline=None)
@given(st.lists(wires, min_size=1, max_size=3), st.lists(st.integers(0, 10**6), max_size=8))
def test_the_same_messages_under_any_cutting(parts: list[bytes], edges: list[int]) -> None:
    wire = b"".join(parts)
    whole = Reader(Codec()).feed([wire])
    for pieces in (cut(wire, edges), cut(wire, list(range(len(wire))))):
        other = Reader(Codec()).feed(pieces)
        assert [x.said for x in other.exchanges] == [x.said for x in whole.exchanges]
        assert (other.failure is None) == (whole.failure is None)
        if not whole.failure:
            assert other.left == whole.left


@settings(max_examples=150, deadline=None)
@given(requests)
def test_a_request_comes_back_as_it_was_sent(request: Request) -> None:
    codec = Codec()
    wire = codec.encode_request(request)
    assert wire.endswith(b"\r\n\r\n")
    again = codec.parse_request(wire[:-4])
    for name in ("method", "path", "authority", "content_length", "upgrade", "expect_continue"):
        assert getattr(again, name) == getattr(request, name), name
    assert again.te_trailers == request.te_trailers
    assert again.headers.fields == request.headers.fields
    assert codec.encode_request(again) == wire


@settings(max_examples=150, deadline=None)
@given(responses)
def test_a_response_comes_back_as_it_was_sent(response: Response) -> None:
    codec = Codec()
    wire = codec.encode_response(response)
    again = codec.parse_response(wire[:-4], "GET")
    assert (again.status, again.reason) == (response.status, response.reason)
    assert again.content_length == response.content_length
    assert again.framing is response.framing
    assert again.headers.fields == response.headers.fields
    assert codec.encode_response(again) == wire


@settings(max_examples=100, deadline=None)
@given(requests, st.lists(st.binary(max_size=50)), headers, st.lists(st.integers(0, 10**6)))
def test_a_chunked_body_comes_back_as_it_was_sent(
    request: Request, chunks: list[bytes], trailers: Headers, edges: list[int]
) -> None:
    request.content_length, request.chunked = None, True
    trailers.fields = [(b"x-" + name, value) for name, value in trailers.fields]
    codec = Codec()
    wire = codec.encode_request(request) + b"".join(map(encode_chunk, chunks))
    wire += encode_trailers(trailers)
    reader = Reader(codec).feed(cut(wire, edges))
    (exchange,) = reader.exchanges
    assert exchange.payload == b"".join(chunks)
    assert exchange.trailers == trailers.fields
    assert (reader.left, reader.failure) == (b"", None)


def h11_reads(wire: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]] | None:
    """Return target, payload and trailers of a complete request as h11 has it, or None."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(wire)
    target, payload = b"", b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                target = event.target
            elif isinstance(event, h11.Data):
                payload += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return target, payload, list(event.headers)
            else:
                return None
    except h11.RemoteProtocolError:
        return None


@settings(max_examples=800, deadline=None)
@given(wires)
def test_what_we_accept_h11_accepts_and_reads_alike(wire: bytes) -> None:
    exchanges = Reader(Codec()).feed([wire]).exchanges
    if not exchanges:
        return
    ours = exchanges[0]
    theirs = h11_reads(wire)
    assert theirs is not None
    target, payload, trailers = theirs
    assert target.decode().removeprefix("http://x") == ours.request.path
    assert payload == ours.payload
    assert trailers == ours.trailers


LINE = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "wire",
    [
        LINE + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        LINE + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        LINE + b"Content-Length: 3, 3\r\n\r\nabc",
        LINE + b"a: b\r\n folded\r\n\r\n",
        LINE + b"a: \x01\r\n\r\n",
        LINE + b"Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
        LINE.replace(b"\r\n", b"\n") + b"a: b\n\n",
        b"POST / HTTP/1.1\r\nHost: y/z\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost:\r\n\r\n",
        b"POST http://x/ HTTP/1.1\r\nHost: y\r\n\r\n",
        b"POST /#a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.2\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        LINE + b"Expect: something\r\n\r\n",
    ],
)
def test_where_we_are_stricter_than_h11(wire: bytes) -> None:
    assert h11_reads(wire) is not None
    reader = Reader(Codec()).feed([wire])
    assert not reader.exchanges
    assert reader.failure or reader.left == wire
