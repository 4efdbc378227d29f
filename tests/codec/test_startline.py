from __future__ import annotations

import pytest

from trioproxy.codec import startline
from trioproxy.codec.errors import MalformedMessage, UnsafeMessage
from trioproxy.codec.startline import RequestLine, StatusLine


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        (b"GET / HTTP/1.1", RequestLine("GET", "/", "", "", 1)),
        (b"GET /a?b=[c]|d HTTP/1.0", RequestLine("GET", "/a?b=[c]|d", "", "", 0)),
        (b"GET //x/y HTTP/1.1", RequestLine("GET", "//x/y", "", "", 1)),
        (b"PURGE /x HTTP/1.1", RequestLine("PURGE", "/x", "", "", 1)),
        (b"GET http://x HTTP/1.1", RequestLine("GET", "/", "x", "http", 1)),
        (b"GET HTTPS://X:8443/a?b HTTP/1.1", RequestLine("GET", "/a?b", "X:8443", "https", 1)),
        (b"GET http://[::1]:80?q HTTP/1.1", RequestLine("GET", "/?q", "[::1]:80", "http", 1)),
        (b"OPTIONS http://x HTTP/1.1", RequestLine("OPTIONS", "*", "x", "http", 1)),
        (b"OPTIONS * HTTP/1.1", RequestLine("OPTIONS", "*", "", "", 1)),
        (b"CONNECT x:443 HTTP/1.1", RequestLine("CONNECT", "", "x:443", "", 1)),
        (b"CONNECT [::1]:443 HTTP/1.1", RequestLine("CONNECT", "", "[::1]:443", "", 1)),
    ],
)
def test_request_lines_in_every_form(line: bytes, parsed: RequestLine) -> None:
    assert startline.read_request_line(line) == parsed


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"", 400),
        (b"GET", 400),
        (b"GET /", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET /  HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET\t/ HTTP/1.1", 400),
        (b"GET /a b HTTP/1.1", 400),
        (b"GET /\x00 HTTP/1.1", 400),
        (b"GET /\x7f HTTP/1.1", 400),
        (b"GET /\xe9 HTTP/1.1", 400),
        (b"GET /a\rb HTTP/1.1", 400),
        (b"GET /a\nb HTTP/1.1", 400),
        (b"GET /#a HTTP/1.1", 400),
        (b"G(T / HTTP/1.1", 400),
        (b"X" * 65 + b" / HTTP/1.1", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1.1x", 400),
        (b"GET / HTTP/11", 400),
        (b"GET / HTTP/1.10", 400),
        (b"GET / HTTP/01.1", 400),
        (b"GET / HTTP/ 1.1", 400),
        (b"GET / HTTP/1.2", 505),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/2.0", 505),
        (b"PRI * HTTP/2.0", 505),
        (b"GET x HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"GET x:80 HTTP/1.1", 400),
        (b"GET ftp://x/ HTTP/1.1", 400),
        (b"GET http:// HTTP/1.1", 400),
        (b"GET http:///a HTTP/1.1", 400),
        (b"GET http://u@x/ HTTP/1.1", 400),
        (b"GET http://u:p@x/ HTTP/1.1", 400),
        (b"GET http://x\\y/ HTTP/1.1", 400),
        (b"CONNECT x HTTP/1.1", 400),
        (b"CONNECT x: HTTP/1.1", 400),
        (b"CONNECT /a HTTP/1.1", 400),
        (b"CONNECT http://x:80/ HTTP/1.1", 400),
        (b"CONNECT x:65536 HTTP/1.1", 400),
    ],
)
def test_request_lines_that_are_refused(line: bytes, status: int) -> None:
    with pytest.raises(MalformedMessage) as caught:
        startline.read_request_line(line)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "X.example.org",
        "a-b_c.d~e",
        "127.0.0.1",
        "x:80",
        "x:",
        "[::1]",
        "[::1]:8080",
        "%41.org",
    ],
)
def test_hosts(value: str) -> None:
    assert startline.read_authority(value) == value


@pytest.mark.parametrize(
    "value",
    [
        *("", ":80", "a b", "a,b", "u@x", "x/y", "x?y", "x#y", "x\\y", "x:80:80", "x:8a", "x:-1"),
        *("x:65536", "x:+80", "::1", "[::1", "[::1]x", "[v1.x]", "[]", "%4", "%zz", "\xe9", "x\n"),
        *("x:\u0661", "a" * 256, "x;", "{x}", "x\x00", "a;b"),
    ],
)
def test_hosts_that_are_refused(value: str) -> None:
    with pytest.raises(MalformedMessage):
        startline.read_authority(value)


@pytest.mark.parametrize(
    ("target", "host", "scheme", "same"),
    [
        ("x", "x", "http", True),
        ("x", "X", "http", True),
        ("x:80", "x", "http", True),
        ("x", "x:443", "https", True),
        ("x:80", "x", "https", False),
        ("x:8080", "x", "http", False),
        ("x", "y", "http", False),
        ("x:443", "x", "", True),
        ("x:443", "x:443", "", True),
        ("x:443", "x:80", "", False),
        ("x:443", "y:443", "", False),
    ],
)
def test_host_says_what_the_target_says(target: str, host: str, scheme: str, same: bool) -> None:
    assert startline.same_authority(target, host, scheme) is same


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        (b"HTTP/1.1 200 OK", StatusLine(200, "OK", 1)),
        (b"HTTP/1.0 404 Not Found", StatusLine(404, "Not Found", 0)),
        (b"HTTP/1.1 200 ", StatusLine(200, "", 1)),
        (b"HTTP/1.1 200", StatusLine(200, "", 1)),
        (b"HTTP/1.1 999 \xe9\t!", StatusLine(999, "\xe9\t!", 1)),
    ],
)
def test_status_lines(line: bytes, parsed: StatusLine) -> None:
    assert startline.read_status_line(line) == parsed


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"200 OK",
        b"HTTP/1.1",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 099 OK",
        b"http/1.1 200 OK",
        b"HTTP/2.0 200 OK",
        b"HTTP/1.1 200 O\rK",
        b"HTTP/1.1 200 O\nK",
        b"HTTP/1.1 200 O\x00K",
        b"HTTP/1.1 +20 OK",
        b"HTTP/1.1 200OK",
    ],
)
def test_status_lines_that_are_refused(line: bytes) -> None:
    with pytest.raises(MalformedMessage):
        startline.read_status_line(line)


@pytest.mark.parametrize(
    ("method", "path", "authority"),
    [
        ("GET", "/ HTTP/1.1\r\nx: y", "x"),
        ("GET", "/\r", "x"),
        ("GET", "/a b", "x"),
        ("GET", "", "x"),
        ("GET", "a", "x"),
        ("GET", "*", "x"),
        ("GET", "http://y/", "x"),
        ("GET", "/\u20ac", "x"),
        ("GET", "/\xe9", "x"),
        ("GET", "/\udc80", "x"),
        ("", "/", "x"),
        ("GET /a", "/", "x"),
        ("GET\n", "/", "x"),
        ("GET", "/", "x\r\ny: z"),
        ("GET", "/", "x y"),
        ("CONNECT", "", ""),
        ("CONNECT", "", "x"),
    ],
)
def test_nothing_else_than_a_request_line_is_written(
    method: str, path: str, authority: str
) -> None:
    with pytest.raises(UnsafeMessage):
        startline.write_request_line(method, path, authority)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, "a\r\nb: c"),
        (200, "\n"),
        (20, ""),
        (2000, ""),
        (-20, ""),
        (200, "\0"),
    ],
)
def test_nothing_else_than_a_status_line_is_written(status: int, reason: str) -> None:
    with pytest.raises(UnsafeMessage):
        startline.write_status_line(status, reason)


def test_a_reason_outside_of_latin_1_is_marked() -> None:
    assert startline.write_status_line(200, "\u20ac") == b"HTTP/1.1 200 ?"
