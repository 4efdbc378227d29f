from __future__ import annotations

import pytest
from reading import memo_sizes

from trioproxy.codec.errors import MalformedMessage, UnsafeMessage
from trioproxy.codec.h1 import Codec
from trioproxy.codec.messages import Framing, Request, Response
from trioproxy.headers import Headers


@pytest.fixture
def codec() -> Codec:
    return Codec()


def head(*lines: bytes) -> bytes:
    return b"\r\n".join(lines)


def test_a_request_is_taken_apart_and_written_anew(codec: Codec) -> None:
    request = codec.parse_request(
        head(
            b"POST /a?b HTTP/1.1",
            b"Accept:  text/html ",
            b"Host: x:81",
            b"Content-Length: 5",
            b"Connection: close, X-Hop",
            b"X-Hop: 1",
            b"Keep-Alive: timeout=5",
            b"Proxy-Connection: keep-alive",
            b"Expect: 100-continue",
            b"TE: trailers, gzip",
            b"Accept: */*",
        )
    )
    assert (request.method, request.path, request.authority) == ("POST", "/a?b", "x:81")
    assert (request.content_length, request.chunked) == (5, False)
    assert request.framing is Framing.LENGTH
    assert request.expect_continue
    assert request.te_trailers
    assert not request.keep_alive
    assert request.headers.fields == [(b"accept", b"text/html"), (b"accept", b"*/*")]
    assert codec.encode_request(request) == (
        b"POST /a?b HTTP/1.1\r\nhost: x:81\r\naccept: text/html\r\naccept: */*\r\n"
        b"content-length: 5\r\nexpect: 100-continue\r\nconnection: te\r\nte: trailers\r\n\r\n"
    )


def test_a_remembered_head_reads_the_same_and_shares_nothing(codec: Codec) -> None:
    wire = head(b"GET /a HTTP/1.1", b"Host: x", b"Connection: x-a", b"X-A: 1", b"Accept: */*")
    first = codec.parse_request(wire)
    first.headers.add("x-added", "1")
    first.path = "/changed"
    first.content_length = 7
    second = codec.parse_request(wire)
    assert second.headers.fields == [(b"accept", b"*/*")]
    assert (second.path, second.content_length, second.authority) == ("/a", None, "x")
    assert second.connection == {b"x-a"}


@pytest.mark.parametrize(
    ("line", "host", "authority", "path", "scheme"),
    [
        (b"GET / HTTP/1.1", b"x", "x", "/", "http"),
        (b"GET http://x/a HTTP/1.1", b"x", "x", "/a", "http"),
        (b"GET https://x/a HTTP/1.1", b"x:443", "x", "/a", "https"),
        (b"GET http://X:80/a HTTP/1.1", b"x", "X:80", "/a", "http"),
        (b"OPTIONS * HTTP/1.1", b"x", "x", "*", "http"),
        (b"CONNECT x:443 HTTP/1.1", b"x:443", "x:443", "", "http"),
        (b"CONNECT x:443 HTTP/1.1", b"x", "x:443", "", "http"),
    ],
)
def test_the_target_and_host_agree(
    codec: Codec, line: bytes, host: bytes, authority: str, path: str, scheme: str
) -> None:
    request = codec.parse_request(head(line, b"Host: " + host))
    assert (request.authority, request.path, request.scheme) == (authority, path, scheme)


def test_an_http_1_0_request_needs_no_host(codec: Codec) -> None:
    assert codec.parse_request(b"GET / HTTP/1.0").authority == ""
    assert codec.parse_request(b"GET http://x/ HTTP/1.0").authority == "x"
    assert codec.parse_request(b"CONNECT x:443 HTTP/1.0").authority == "x:443"


@pytest.mark.parametrize(
    ("minor", "connection", "keep_alive"),
    [
        (1, b"", True),
        (1, b"close", False),
        (1, b"CLOSE", False),
        (1, b"keep-alive, close", False),
        (1, b"x", True),
        (0, b"", False),
        (0, b"Keep-Alive", True),
        (0, b"close, keep-alive", False),
    ],
)
def test_keep_alive(codec: Codec, minor: int, connection: bytes, keep_alive: bool) -> None:
    fields = [b"Host: x", b"Connection: " + connection, b"Content-Length: 0"]
    request = codec.parse_request(head(b"GET / HTTP/1.%d" % minor, *fields))
    assert request.keep_alive is keep_alive
    response = codec.parse_response(head(b"HTTP/1.%d 200 OK" % minor, *fields), "GET")
    assert response.keep_alive is keep_alive


@pytest.mark.parametrize(
    ("line", "fields", "upgrade"),
    [
        (b"GET / HTTP/1.1", [b"Connection: Upgrade", b"Upgrade: WebSocket"], "websocket"),
        (b"GET / HTTP/1.1", [b"Upgrade: websocket", b"Connection: a, upgrade"], "websocket"),
        (b"GET / HTTP/1.1", [b"Upgrade: websocket"], ""),
        (b"GET / HTTP/1.1", [b"Connection: upgrade"], ""),
        (b"GET / HTTP/1.0", [b"Connection: upgrade", b"Upgrade: websocket"], ""),
    ],
)
def test_an_upgrade_is_offered_by_both_fields(
    codec: Codec, line: bytes, fields: list[bytes], upgrade: str
) -> None:
    assert codec.parse_request(head(line, b"Host: x", *fields)).upgrade == upgrade


def test_http_1_0_expects_nothing(codec: Codec) -> None:
    wire = head(b"POST / HTTP/1.0", b"Content-Length: 5", b"Expect: 100-continue")
    assert not codec.parse_request(wire).expect_continue


def test_what_connection_nominates_ends_here_but_never_the_framing(codec: Codec) -> None:
    request = codec.parse_request(
        head(
            b"POST / HTTP/1.1",
            b"Connection: host, content-length, X-A",
            b"Host: x",
            b"Content-Length: 5",
            b"x-a: 1",
            b"X-A: 2",
            b"X-AB: 3",
        )
    )
    assert (request.authority, request.content_length) == ("x", 5)
    assert request.headers.fields == [(b"x-ab", b"3")]


@pytest.mark.parametrize(
    ("method", "line", "fields", "framing", "keep_alive"),
    [
        ("GET", b"200 OK", [b"Content-Length: 5"], Framing.LENGTH, True),
        ("GET", b"200 OK", [b"Content-Length: 0"], Framing.LENGTH, True),
        ("GET", b"200 OK", [b"Transfer-Encoding: chunked"], Framing.CHUNKED, True),
        ("GET", b"200 OK", [], Framing.UNTIL_CLOSE, False),
        ("HEAD", b"200 OK", [], Framing.NONE, True),
        ("HEAD", b"200 OK", [b"Content-Length: 5"], Framing.NONE, True),
        ("HEAD", b"200 OK", [b"Transfer-Encoding: chunked"], Framing.NONE, True),
        ("GET", b"304 Not Modified", [], Framing.NONE, True),
        ("GET", b"304 Not Modified", [b"Content-Length: 5"], Framing.NONE, True),
        ("GET", b"204 No Content", [], Framing.NONE, True),
        ("GET", b"204 No Content", [b"Content-Length: 0"], Framing.NONE, True),
        ("GET", b"204 No Content", [b"Content-Length: 5"], Framing.NONE, False),
        ("GET", b"204 No Content", [b"Transfer-Encoding: chunked"], Framing.NONE, False),
        ("GET", b"100 Continue", [], Framing.NONE, True),
        ("GET", b"101 Switching Protocols", [], Framing.NONE, True),
        ("GET", b"103 Early Hints", [b"Content-Length: 5"], Framing.NONE, False),
        ("CONNECT", b"200 OK", [], Framing.NONE, True),
        ("CONNECT", b"200 OK", [b"Content-Length: 5"], Framing.NONE, False),
        ("CONNECT", b"404 Not Found", [b"Content-Length: 5"], Framing.LENGTH, True),
        ("CONNECT", b"404 Not Found", [], Framing.UNTIL_CLOSE, False),
    ],
)
def test_how_a_response_ends(
    codec: Codec,
    method: str,
    line: bytes,
    fields: list[bytes],
    framing: Framing,
    keep_alive: bool,
) -> None:
    response = codec.parse_response(head(b"HTTP/1.1 " + line, *fields), method)
    assert response.framing is framing
    assert response.keep_alive is keep_alive


def test_a_head_answer_keeps_the_length_that_get_would_have(codec: Codec) -> None:
    response = codec.parse_response(head(b"HTTP/1.1 200 OK", b"Content-Length: 5"), "HEAD")
    assert codec.encode_response(response) == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("response", "minor", "keep_alive", "wire"),
    [
        (Response(status=200, content_length=0), 1, True, b"content-length: 0\r\n"),
        (
            Response(status=200, content_length=0),
            1,
            False,
            b"content-length: 0\r\nconnection: close\r\n",
        ),
        (
            Response(status=200, content_length=0),
            0,
            True,
            b"content-length: 0\r\nconnection: keep-alive\r\n",
        ),
        (Response(status=200, chunked=True), 1, True, b"transfer-encoding: chunked\r\n"),
        (Response(status=200, chunked=True), 0, True, b"connection: close\r\n"),
        (
            Response(status=200, chunked=True, content_length=5),
            1,
            True,
            b"transfer-encoding: chunked\r\n",
        ),
        (Response(status=200, chunked=True, content_length=5), 0, True, b"connection: close\r\n"),
        (Response(status=200), 1, True, b"connection: close\r\n"),
        (Response(status=200, bodiless=True), 1, True, b""),
        (Response(status=204, content_length=5), 1, True, b""),
        (Response(status=100, content_length=5), 1, True, b""),
        (Response(status=304, content_length=5), 1, True, b"content-length: 5\r\n"),
        (
            Response(status=101, upgrade="websocket"),
            1,
            True,
            b"connection: upgrade\r\nupgrade: websocket\r\n",
        ),
        (
            Response(status=426, upgrade="a, b", content_length=0),
            1,
            False,
            b"content-length: 0\r\nconnection: close, upgrade\r\nupgrade: a, b\r\n",
        ),
        (Response(status=200, upgrade="h2c", content_length=0), 1, True, b"content-length: 0\r\n"),
    ],
)
def test_a_response_is_framed_for_its_client(
    codec: Codec, response: Response, minor: int, keep_alive: bool, wire: bytes
) -> None:
    start = b"HTTP/1.1 %d \r\n" % response.status
    encoded = codec.encode_response(response, minor=minor, keep_alive=keep_alive)
    assert encoded == start + wire + b"\r\n"


@pytest.mark.parametrize(
    ("request_", "keep_alive", "wire"),
    [
        (Request(), True, b""),
        (Request(), False, b"connection: close\r\n"),
        (Request(chunked=True), True, b"transfer-encoding: chunked\r\n"),
        (Request(chunked=True, content_length=5), True, b"transfer-encoding: chunked\r\n"),
        (Request(content_length=0), True, b"content-length: 0\r\n"),
        (
            Request(upgrade="websocket"),
            True,
            b"connection: upgrade\r\nupgrade: websocket\r\n",
        ),
        (
            Request(upgrade="websocket", te_trailers=True),
            False,
            b"connection: close, te, upgrade\r\nte: trailers\r\nupgrade: websocket\r\n",
        ),
    ],
)
def test_a_request_is_framed_for_its_server(
    codec: Codec, request_: Request, keep_alive: bool, wire: bytes
) -> None:
    encoded = codec.encode_request(request_, keep_alive=keep_alive)
    assert encoded == b"GET / HTTP/1.1\r\nhost: \r\n" + wire + b"\r\n"


def test_connect_and_options_keep_their_forms(codec: Codec) -> None:
    connect = Request(method="CONNECT", path="", authority="x:443")
    options = Request(method="OPTIONS", path="*", authority="x")
    assert codec.encode_request(connect) == b"CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n"
    assert codec.encode_request(options) == b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        Request(path="/ HTTP/1.1\r\nx: y"),
        Request(method="GET / HTTP/1.1\r\nx:"),
        Request(authority="x\r\ny: z"),
        Request(upgrade="websocket\r\nx: y"),
        Request(content_length=-1),
        Request(headers=Headers([(b"a", b"b\r\nc: d")])),
        Request(headers=Headers([(b"a: b\r\nc", b"d")])),
        Request(headers=Headers([(b"content-length", b"5")])),
        Request(headers=Headers([(b"transfer-encoding", b"chunked")])),
        Request(headers=Headers([(b"host", b"y")])),
    ],
)
def test_a_request_that_would_be_another_is_not_sent(codec: Codec, request_: Request) -> None:
    for _ in range(2):
        with pytest.raises(UnsafeMessage):
            codec.encode_request(request_)


@pytest.mark.parametrize(
    "response",
    [
        Response(status=200, reason="OK\r\nx: y"),
        Response(status=20),
        Response(status=101, upgrade="a\r\nb: c"),
        Response(status=200, content_length=-1),
        Response(status=200, headers=Headers([(b"a", b"b\nc: d")])),
        Response(status=200, headers=Headers([(b"connection", b"close")])),
        Response(status=200, headers=Headers([(b"transfer-encoding", b"chunked")])),
    ],
)
def test_a_response_that_would_be_another_is_not_sent(codec: Codec, response: Response) -> None:
    for _ in range(2):
        with pytest.raises(UnsafeMessage):
            codec.encode_response(response)


@pytest.mark.parametrize(("count", "fits"), [(10, True), (11, False)])
def test_fields_are_counted(count: int, fits: bool) -> None:
    codec = Codec(max_fields=10)
    lines = [b"Host: x", *(b"a: b" for _ in range(count - 1))]
    if fits:
        assert len(codec.parse_request(head(b"GET / HTTP/1.1", *lines)).headers) == 9
        return
    with pytest.raises(MalformedMessage) as caught:
        codec.parse_request(head(b"GET / HTTP/1.1", *lines))
    assert caught.value.status == 431
    with pytest.raises(MalformedMessage):
        codec.parse_response(head(b"HTTP/1.1 200 OK", *lines), "GET")


def test_strangers_do_not_make_it_grow() -> None:
    codec = Codec()
    for number in range(5000):
        request = codec.parse_request(
            head(b"GET /%d HTTP/1.1" % number, b"Host: h%d" % number, b"N%d: %d" % (number, number))
        )
        codec.encode_request(request)
    sizes = memo_sizes(codec)
    assert len(sizes) == 8
    assert max(sizes) <= 1024
