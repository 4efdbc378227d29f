r"""RFC 9112 and 9110 by section, through the real proxy: responses.

In the tables `>>` is what the upstream answers and `<<` what the client hears, byte for byte. Both
are asked a second time: END must get an answer of its own, whatever the first one left behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11
import pytest
from dialogue import wire
from witness import END, END_UP, OK, cases

if TYPE_CHECKING:
    from witness import Seen, Witness

ASK = "{} / HTTP/1.1 | Host: x |"
ASK_UP = b"%b / HTTP/1.1\r\nhost: x\r\n\r\n"
CLOSING = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")

GARBLED = {
    "2.2 a bare LF": r"HTTP/1.1 200 OK | a: b\nc: d |",
    "2.2 a bare CR": r"HTTP/1.1 200 OK | a: b\rc | content-length: 0 |",
    "2.2 whitespace before the first field": r"HTTP/1.1 200 OK |\x20a: b | content-length: 0 |",
    "2.3 another version": "HTTP/2.0 200 OK | content-length: 0 |",
    "2.3 another protocol": "ICY 200 OK | content-length: 0 |",
    "4 no status": "HTTP/1.1 OK | content-length: 0 |",
    "4 a status of two digits": "HTTP/1.1 20 OK | content-length: 0 |",
    "4 a status of four digits": "HTTP/1.1 2000 OK | content-length: 0 |",
    "4 a status below 100": "HTTP/1.1 099 OK | content-length: 0 |",
    "4 a NUL in the reason": r"HTTP/1.1 200 O\0K | content-length: 0 |",
    "5 NUL in a value": r"HTTP/1.1 200 OK | a: b\0c | content-length: 0 |",
    "5 no colon": "HTTP/1.1 200 OK | abc | content-length: 0 |",
    "5.1 a space before the colon": "HTTP/1.1 200 OK | content-length : 5 | | hello",
    "5.2 a fold": r"HTTP/1.1 200 OK | a: b |\x20c | content-length: 0 |",
    "5.4 a huge head": f"HTTP/1.1 200 OK | a: {'b' * 70000} |",
    "5.4 many fields": "HTTP/1.1 200 OK |" + "a: b |" * 101,
    "6.1 an unknown coding": "HTTP/1.1 200 OK | transfer-encoding: gzip, chunked | | 0 |",
    "6.1 chunked is not last": "HTTP/1.1 200 OK | transfer-encoding: chunked, gzip | | 0 |",
    "6.1 chunked in two fields": "HTTP/1.1 200 OK |" + "transfer-encoding: chunked |" * 2,
    "6.1 chunked in HTTP/1.0": "HTTP/1.0 200 OK | transfer-encoding: chunked | | 0 |",
    "6.2 a sign": "HTTP/1.1 200 OK | content-length: +5 | | hello",
    "6.3 two lengths": "HTTP/1.1 200 OK | content-length: 5 | content-length: 6 | | hello",
    "6.3 twice the same length": "HTTP/1.1 200 OK |" + "content-length: 5 |" * 2 + "| hello",
    "6.3 a list of lengths": "HTTP/1.1 200 OK | content-length: 5, 5 | | hello",
    "6.3 both framings": "HTTP/1.1 200 OK | transfer-encoding: chunked | content-length: 5 | | 0 |",
    "7.1 no size": "HTTP/1.1 200 OK | transfer-encoding: chunked | | 1 | x | zz | x",
    "7.1 a bare LF": r"HTTP/1.1 200 OK | transfer-encoding: chunked | | 1 | x | 1\ny | 0 |",
    "7.1.2 a trailer with a fold": (
        r"HTTP/1.1 200 OK | transfer-encoding: chunked | | 1 | x | 0 | a: b |\x20c | |"),
    "9110 15.2 an interim one with NUL": r"HTTP/1.1 103 Hints | a: \0 | | HTTP/1.1 204 No |",
    "9110 15.2.2 a switch that nobody asked for": "HTTP/1.1 101 Go | upgrade: x |",
}  # fmt: skip

CUT_SHORT = {
    "2.2 bare LFs": "HTTP/1.1 200 OK\\ncontent-length: 0\\n\\n(fin)\\",
    "2.3 no protocol at all": "hello\\n(fin)\\",
    "8 closed in the head": "HTTP/1.1 200 OK | content-length: 0 | (fin)\\",
    "8 closed before the head": "(fin)\\",
}

BROKEN = {
    "6.2 closed too early": "HTTP/1.1 200 OK | content-length: 5 | | hell(fin)\\",
    "7.1 closed in a chunk": "HTTP/1.1 200 OK | transfer-encoding: chunked | | 5 | hell(fin)\\",
    "7.1 closed before the end": "HTTP/1.1 200 OK | transfer-encoding: chunked | | 1 | x(fin)\\",
}  # fmt: skip

CLEAN = r"""
2.3 HTTP/1.0 that stays
    >> HTTP/1.0 200 OK | Connection: keep-alive | Content-Length: 2 | | hi\
    << HTTP/1.1 200 OK | content-length: 2 | | hi\
4 no reason
    >> HTTP/1.1 200 | Content-Length: 0 |
    << HTTP/1.1 200\x20 | content-length: 0 |
4 a status of one's own
    >> HTTP/1.1 799 Odd | Content-Length: 2 | | hi\
    << HTTP/1.1 799 Odd | content-length: 2 | | hi\
5 names in lower case, values trimmed, fields in order
    >> HTTP/1.1 200 OK | Set-Cookie:\ta | Set-Cookie: b\x20 | X:\xe4 | Content-Length: 0 |
    << HTTP/1.1 200 OK | set-cookie: a | set-cookie: b | x: \xe4 | content-length: 0 |
6.2 a response is a body
    >> HTTP/1.1 200 OK | Content-Length: 21 | | HTTP/1.1 200 OK | |
    << HTTP/1.1 200 OK | content-length: 21 | | HTTP/1.1 200 OK | |
7.1 chunks with extensions
    >> HTTP/1.1 200 OK | Transfer-Encoding: Chunked | | 00A;a=b | 0123456789 | 1;c | x | 0;d |
    << HTTP/1.1 200 OK | transfer-encoding: chunked | | b | 0123456789x | 0 |
7.1.2 trailers, without those that frame or steer
    >> HTTP/1.1 200 OK | Transfer-Encoding: chunked | | 1 | x | 0 | A: b | Set-Cookie: c
    >> Content-Length: 5 | Transfer-Encoding: chunked |
    << HTTP/1.1 200 OK | transfer-encoding: chunked | | 1 | x | 0 | a: b |
9110 7.6.1 fields that Connection names
    >> HTTP/1.1 200 OK | Connection: A, content-length, keep-alive | a: 1 | b: 2 | Keep-Alive: 5
    >> Content-Length: 2 | | hi\
    << HTTP/1.1 200 OK | b: 2 | content-length: 2 | | hi\
9110 15.2 interim responses
    >> HTTP/1.1 100 Continue | | HTTP/1.1 103 Early Hints | link: x | | HTTP/1.1 102 Processing |
    >> HTTP/1.1 200 OK | Content-Length: 0 |
    << HTTP/1.1 103 Early Hints | link: x | | HTTP/1.1 102 Processing |
    << HTTP/1.1 200 OK | content-length: 0 |
9110 15.3.5 204 without anything
    >> HTTP/1.1 204 No Content | Content-Length: 0 |
    << HTTP/1.1 204 No Content |
9110 15.4.5 304 with the length of what is not sent
    >> HTTP/1.1 304 Not Modified | Content-Length: 5 |
    << HTTP/1.1 304 Not Modified | content-length: 5 |
"""

SPENT = r"""
6.3 a body until the end of the connection
    >> HTTP/1.1 200 OK | | hi(fin)\
    << HTTP/1.1 200 OK | transfer-encoding: chunked | | 2 | hi | 0 |
6.3 the same from HTTP/1.0
    >> HTTP/1.0 200 OK | | hi(fin)\
    << HTTP/1.1 200 OK | transfer-encoding: chunked | | 2 | hi | 0 |
6.3 HTTP/1.0 with a length
    >> HTTP/1.0 200 OK | Content-Length: 2 | | hi(fin)\
    << HTTP/1.1 200 OK | content-length: 2 | | hi\
9.3 Connection: close
    >> HTTP/1.1 200 OK | Connection: close | Content-Length: 2 | | hi\
    << HTTP/1.1 200 OK | content-length: 2 | | hi\
9.2 a second response behind the first
    >> HTTP/1.1 200 OK | Content-Length: 2 | | hiHTTP/1.1 200 OK | Content-Length: 5 | | wrong\
    << HTTP/1.1 200 OK | content-length: 2 | | hi\
9.2 a byte too many
    >> HTTP/1.1 200 OK | Content-Length: 2 | | hi!\
    << HTTP/1.1 200 OK | content-length: 2 | | hi\
9.2 something behind the last chunk
    >> HTTP/1.1 200 OK | Transfer-Encoding: chunked | | 2 | hi | 0 | | HTTP/1.1 200 OK | |
    << HTTP/1.1 200 OK | transfer-encoding: chunked | | 2 | hi | 0 |
9110 15.3.5 204 with a body
    >> HTTP/1.1 204 No Content | Content-Length: 5 | | wrong\
    << HTTP/1.1 204 No Content |
9110 15.3.5 204 with chunks
    >> HTTP/1.1 204 No Content | Transfer-Encoding: chunked | | 5 | wrong | 0 |
    << HTTP/1.1 204 No Content |
9110 15.4.5 304 with a body
    >> HTTP/1.1 304 Not Modified | Content-Length: 5 | | wrong\
    << HTTP/1.1 304 Not Modified | content-length: 5 |
"""

TO_HEAD = r"""
9110 9.3.2 the length of what is not sent
    >> HTTP/1.1 200 OK | Content-Length: 5 |
    << HTTP/1.1 200 OK | content-length: 5 |
9110 9.3.2 the coding of what is not sent
    >> HTTP/1.1 200 OK | Transfer-Encoding: chunked |
    << HTTP/1.1 200 OK | transfer-encoding: chunked |
9110 9.3.2 a body all the same
    >> HTTP/1.1 200 OK | Content-Length: 5 | | wrong\
    << HTTP/1.1 200 OK | content-length: 5 |
9110 9.3.2 chunks all the same
    >> HTTP/1.1 200 OK | Transfer-Encoding: chunked | | 5 | wrong | 0 |
    << HTTP/1.1 200 OK | transfer-encoding: chunked |
"""

TO_HTTP_1_0 = r"""
7.1 no chunks
    >> HTTP/1.1 200 OK | Transfer-Encoding: chunked | | 2 | he | 3;a | llo | 0 | a: b |
    << HTTP/1.1 200 OK | connection: close | | hello\
6.3 a body until the end of the connection
    >> HTTP/1.1 200 OK | | hello(fin)\
    << HTTP/1.1 200 OK | connection: close | | hello\
9110 15.2 no interim responses
    >> HTTP/1.1 103 Early Hints | | HTTP/1.1 200 OK | Content-Length: 5 | | hello\
    << HTTP/1.1 200 OK | content-length: 5 | connection: close | | hello\
"""


def answered(witness: Witness, answer: bytes, method: str = "GET") -> Seen:
    """Ask for something that is answered so, and for END on the same connection."""
    seen = witness.see(wire(ASK.format(method)) + END, {b"/": answer}, listener="kept")
    assert seen.requests[0] == ASK_UP % method.encode()
    assert seen.unfinished == []
    return seen


def take_response(heard: bytes) -> None:
    """Have h11 read a response to the end of the connection; raises h11.RemoteProtocolError."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(heard)
    client.receive_data(b"")
    while not isinstance(client.next_event(), h11.EndOfMessage):
        pass


def reused(seen: Seen) -> bool:
    return len(seen.upstreams[0].requests) > 1


ERRORS = [(502, answer) for answer in GARBLED.values()]
ERRORS += [(503, answer) for answer in CUT_SHORT.values()]


@pytest.mark.parametrize(("status", "answer"), ERRORS, ids=[*GARBLED, *CUT_SHORT])
def test_no_response(witness: Witness, status: int, answer: str) -> None:
    """The client is told so, and the upstream's connection is not trusted any more."""
    seen = answered(witness, wire(answer))
    assert seen.heard.startswith(b"HTTP/1.1 %d " % status)
    assert seen.heard.endswith(CLOSING)
    assert seen.heard.count(b"HTTP/1.1 ") == 2
    assert seen.requests == [ASK_UP % b"GET", END_UP]
    assert not reused(seen)


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_a_broken_body_does_not_pass_for_a_whole_one(witness: Witness, answer: str) -> None:
    """The head is out already: all that can be done is to cut the client's connection as well."""
    seen = answered(witness, wire(answer))
    assert seen.requests == [ASK_UP % b"GET"]
    with pytest.raises(h11.RemoteProtocolError):
        take_response(seen.heard)


@pytest.mark.parametrize(("answer", "heard"), cases(CLEAN))
def test_rebuilt(witness: Witness, answer: bytes, heard: bytes) -> None:
    seen = answered(witness, answer)
    assert seen.heard == heard + CLOSING
    assert reused(seen)


@pytest.mark.parametrize(("answer", "heard"), cases(SPENT))
def test_a_spent_connection_is_not_used_again(
    witness: Witness, answer: bytes, heard: bytes
) -> None:
    seen = answered(witness, answer)
    assert seen.heard == heard + CLOSING
    assert not reused(seen)


@pytest.mark.parametrize(("answer", "heard"), cases(TO_HEAD))
def test_the_answer_to_head(witness: Witness, answer: bytes, heard: bytes) -> None:
    seen = answered(witness, answer, "HEAD")
    assert seen.heard == heard + CLOSING
    assert reused(seen) == answer.endswith(b"\r\n\r\n") or b"wrong" in answer


@pytest.mark.parametrize(("answer", "heard"), cases(TO_HTTP_1_0))
def test_the_answer_to_an_older_client(witness: Witness, answer: bytes, heard: bytes) -> None:
    said = wire("GET / HTTP/1.0 | Host: x |") + END
    seen = witness.see(said, {b"/": answer}, listener="kept")
    assert seen.heard == heard
    assert seen.requests == [ASK_UP % b"GET"]


def test_many_interim_responses(witness: Witness) -> None:
    hints = wire("HTTP/1.1 103 Early Hints | link: x |") * 500
    seen = answered(witness, wire("HTTP/1.1 100 Continue |") * 500 + hints + OK)
    assert seen.heard == hints + OK + CLOSING
