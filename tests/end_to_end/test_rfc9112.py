r"""RFC 9112 and 9110 by section, through the real proxy: what could be read in two ways is refused.

Behind each message the client has sent END, of which nobody may hear. `|` is a line's end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from dialogue import wire
from witness import END, OK

if TYPE_CHECKING:
    from witness import Witness

REFUSAL = re.compile(
    rb"HTTP/1\.1 (\d{3}) [^\r\n]+\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)

GET = "GET / HTTP/1.1 | Host: x |"
POST = "POST / HTTP/1.1 | Host: x |"
CHUNKED = f"{POST} Transfer-Encoding: chunked |"
SMUGGLED = "GET /smuggled HTTP/1.1 | Host: x | |"

REFUSED = {
    "2.2 bare LFs": (r"GET / HTTP/1.1\nHost: x\n\n", 400),
    "2.2 bare CRs": (r"GET / HTTP/1.1\rHost: x\r\r", 400),
    "2.2 one bare LF": (rf"{GET} a: b\nc: d |", 400),
    "2.2 a bare LF hides a framing": (rf"{GET} a: b\nTransfer-Encoding: chunked | | 0 |", 400),
    "2.2 a bare LF ends the head": (rf"{GET} a: b\n\n{SMUGGLED}", 400),
    "2.2 a bare CR in a value": (rf"{GET} a: b\rc |", 400),
    "2.2 a bare CR in a name": (rf"{GET} a\r: b |", 400),
    "2.2 CR CR LF": (rf"{GET} a: b\r | |", 400),
    "2.2 whitespace before the first field": (r"GET / HTTP/1.1 |\x20Host: x | Host: x |", 400),
    "2.2 nothing but garbage": (r"\x16\x03\x01\x02\0\x01 | |", 400),
    "2.3 HTTP/0.9": ("GET /", 400),
    "2.3 HTTP/1.2": ("GET / HTTP/1.2 | Host: x |", 505),
    "2.3 a version in lower case": ("GET / http/1.1 | Host: x |", 400),
    "2.3 a version with more digits": ("GET / HTTP/1.10 | Host: x |", 400),
    "2.3 another protocol": ("GET / RTSP/1.1 | Host: x |", 400),
    "3 two spaces": ("GET  / HTTP/1.1 | Host: x |", 400),
    "3 a tab": (r"GET\t/ HTTP/1.1 | Host: x |", 400),
    "3 a space before the method": (r"\x20GET / HTTP/1.1 | Host: x |", 400),
    "3 a space behind the version": (r"GET / HTTP/1.1\x20 | Host: x |", 400),
    "3 two request lines": (rf"GET / HTTP/1.1 | {GET}", 400),
    "3.1 a method that is no token": ("GE{T / HTTP/1.1 | Host: x |", 400),
    "3.2 whitespace in the target": ("GET /a b HTTP/1.1 | Host: x |", 400),
    "3.2 a version in the target": ("GET / HTTP/1.1 HTTP/1.1 | Host: x |", 400),
    "3.2 NUL in the target": (r"GET /\0 HTTP/1.1 | Host: x |", 400),
    "3.2 a fragment": ("GET /#a HTTP/1.1 | Host: x |", 400),
    "3.2 neither a path nor a URI": ("GET x HTTP/1.1 | Host: x |", 400),
    "3.2 no Host": ("GET / HTTP/1.1 | a: b |", 400),
    "3.2 two Hosts": (f"{GET} Host: y |", 400),
    "3.2 twice the same Host": (f"{GET} host: x |", 400),
    "3.2 two hosts in one": ("GET / HTTP/1.1 | Host: x, y |", 400),
    "3.2 a path in Host": ("GET / HTTP/1.1 | Host: x/y |", 400),
    "3.2 a user in Host": ("GET / HTTP/1.1 | Host: u@x |", 400),
    "3.2 a port that is none": ("GET / HTTP/1.1 | Host: x:99999 |", 400),
    "3.2.2 Host differs from the target": ("GET http://x/ HTTP/1.1 | Host: y |", 400),
    "3.2.2 absolute form and no Host": ("GET http://x/ HTTP/1.1 | a: b |", 400),
    "3.2.2 absolute form and two Hosts": ("GET http://x/ HTTP/1.1 | Host: x | Host: y |", 400),
    "3.2.2 a user in the target": ("GET http://u@x/ HTTP/1.1 | Host: x |", 400),
    "3.2.2 another scheme": ("GET ftp://x/ HTTP/1.1 | Host: x |", 400),
    "3.2.2 no authority": ("GET http:///a HTTP/1.1 | Host: x |", 400),
    "3.2.3 authority form for another method": ("GET x:80 HTTP/1.1 | Host: x:80 |", 400),
    "3.2.3 CONNECT to a path": ("CONNECT / HTTP/1.1 | Host: x |", 400),
    "3.2.3 CONNECT with a body": ("CONNECT x:1 HTTP/1.1 | Host: x:1 | Content-Length: 5 |", 400),
    "3.2.4 an asterisk for another method": ("GET * HTTP/1.1 | Host: x |", 400),
    "5 no colon": (f"{GET} abc |", 400),
    "5 no name": (f"{GET} : b |", 400),
    "5 NUL in a value": (rf"{GET} a: b\0c |", 400),
    "5 NUL in a name": (rf"{GET} a\0: b |", 400),
    "5 a name beyond ASCII": (rf"{GET} \xe4: b |", 400),
    "5.1 a space before the colon": (f"{POST} Content-Length : 5 | | hello", 400),
    "5.1 a tab before the colon": (rf"{POST} Transfer-Encoding\t: chunked | | 0 | |", 400),
    "5.1 a vertical tab around a value": (rf"{POST} Transfer-Encoding:\x0bchunked | | 0 |", 400),
    "5.1 a space inside a name": (f"{GET} a b: c |", 400),
    "5.2 a fold": (rf"{GET} a: b |\x20c |", 400),
    "5.2 a framing in a fold": (rf"{POST} a: b |\tTransfer-Encoding: chunked | | 0 |", 400),
    "5.2 a fold of Transfer-Encoding": (rf"{POST} Transfer-Encoding: |\x20chunked | | 0 |", 400),
    "5.2 a fold of Host": (r"GET / HTTP/1.1 | Host: |\x20x |", 400),
    "5.4 a huge head": (f"{GET} a: {'b' * 70000} |", 431),
    "5.4 a huge target": (f"GET /{'a' * 70000} HTTP/1.1 | Host: x |", 431),
    "5.4 many fields": (GET + "a: b |" * 101, 431),
    "6.1 chunked is not last": (f"{POST} Transfer-Encoding: chunked, identity | | 0 |", 400),
    "6.1 an unknown coding": (f"{POST} Transfer-Encoding: gzip, chunked | | 0 |", 501),
    "6.1 chunked twice": (f"{POST} Transfer-Encoding: chunked, chunked | | 0 |", 501),
    "6.1 chunked in two fields": (POST + "Transfer-Encoding: chunked |" * 2 + "| 0 |", 400),
    "6.1 something like chunked": (f"{POST} Transfer-Encoding: xchunked | | 0 |", 400),
    "6.1 identity": (f"{POST} Transfer-Encoding: identity |", 400),
    "6.1 no coding": (f"{POST} Transfer-Encoding: |", 400),
    "6.1 chunked in quotes": (f'{POST} Transfer-Encoding: "chunked" | | 0 |', 400),
    "6.1 chunked with a parameter": (f"{POST} Transfer-Encoding: chunked;a=b | | 0 |", 400),
    "6.1 chunked in HTTP/1.0": ("POST / HTTP/1.0 | Transfer-Encoding: chunked | | 0 |", 400),
    "6.1 chunked and a NUL": (rf"{POST} Transfer-Encoding: chunked\0 | | 0 |", 400),
    "6.2 no digits": (f"{POST} Content-Length: |", 400),
    "6.2 a sign": (f"{POST} Content-Length: +5 | | hello", 400),
    "6.2 a negative length": (f"{POST} Content-Length: -1 |", 400),
    "6.2 a hexadecimal length": (f"{POST} Content-Length: 0x5 | | hello", 400),
    "6.2 a length with a space inside": (f"{POST} Content-Length: 1 0 | | hello", 400),
    "6.2 a length beyond all bounds": (f"{POST} Content-Length: {2**64 + 5} | | hello", 400),
    "6.2 other digits": (rf"{POST} Content-Length: \xb2 | | hi", 400),
    "6.3 two lengths": (f"{POST} Content-Length: 5 | Content-Length: 0 | | hello", 400),
    "6.3 twice the same length": (POST + "Content-Length: 5 |" * 2 + "| hello", 400),
    "6.3 a list of lengths": (f"{POST} Content-Length: 5, 5 | | hello", 400),
    "6.3 both framings": (
        f"{POST} Content-Length: 5 | Transfer-Encoding: chunked | | 0 | | {SMUGGLED}", 400),
    "6.3 both framings, the other way": (
        f"{POST} Transfer-Encoding: chunked | Content-Length: 5 | | 0 | | {SMUGGLED}", 400),
    "6.3 both framings, a length nominated": (
        f"{CHUNKED} Content-Length: 5 | Connection: content-length | | 0 |", 400),
    "6.3 both framings, a coding nominated": (
        f"{CHUNKED} Content-Length: 5 | Connection: transfer-encoding | | 0 |", 400),
    "9110 7.6.1 an option that is no token": (f"{GET} Connection: a b |", 400),
    "9110 10.1.1 an unknown expectation": (f"{POST} Expect: 200-ok | Content-Length: 0 |", 417),
}  # fmt: skip

BROKEN = {
    "7.1 no size": f"{CHUNKED} | |",
    "7.1 no hexadecimal digit": f"{CHUNKED} | g | hello | 0 |",
    "7.1 a prefix": f"{CHUNKED} | 0x5 | hello | 0 |",
    "7.1 a sign": f"{CHUNKED} | +5 | hello | 0 |",
    "7.1 a negative size": f"{CHUNKED} | -5 | hello | 0 |",
    "7.1 a space before the size": rf"{CHUNKED} |\x205 | hello | 0 |",
    "7.1 a space behind the size": rf"{CHUNKED} | 5\x20 | hello | 0 |",
    "7.1 an underscore": f"{CHUNKED} | 1_0 | 0123456789abcdef | 0 |",
    "7.1 a size beyond all bounds": f"{CHUNKED} | 10000000000000005 | hello | 0 |",
    "7.1 a bare LF behind the size": rf"{CHUNKED} | 5\nhello | 0 |",
    "7.1 a bare CR behind the size": rf"{CHUNKED} | 5\rhello | 0 |",
    "7.1 a bare LF behind the chunk": rf"{CHUNKED} | 5 | hello\n0 | |",
    "7.1 a chunk longer than its size": f"{CHUNKED} | 4 | hello | 0 |",
    "7.1 a chunk shorter than its size": f"{CHUNKED} | 6 | hello | 0 |",
    "7.1 a broken chunk behind a good one": f"{CHUNKED} | 5 | hello | zz | |",
    "7.1.1 an extension without a name": f"{CHUNKED} | 5; | hello | 0 |",
    "7.1.1 a bare LF in an extension": rf"{CHUNKED} | 5;a\nb | hello | 0 |",
    "7.1.1 a bare CR in an extension": rf"{CHUNKED} | 5;a\rb | hello | 0 |",
    "7.1.1 a NUL in an extension": rf"{CHUNKED} | 5;a\0 | hello | 0 |",
    "7.1.1 an endless extension": f"{CHUNKED} | 5;{'a' * 5000} | hello | 0 |",
    "7.1.1 nothing but extensions": CHUNKED + "|" + f"1;{'a' * 4000} | x |" * 8 + "0 | |",
    "7.1.2 a trailer without a colon": f"{CHUNKED} | 0 | abc | |",
    "7.1.2 a space before a trailer's colon": f"{CHUNKED} | 0 | a : b | |",
    "7.1.2 a fold in a trailer": rf"{CHUNKED} | 0 | a: b |\x20c | |",
    "7.1.2 a bare LF in a trailer": rf"{CHUNKED} | 0 | a: b\nc: d | |",
    "7.1.2 endless trailers": CHUNKED + "|" + "0 |" + f"a: {'b' * 900} |" * 10 + "|",
}


@pytest.mark.parametrize(("said", "status"), REFUSED.values(), ids=REFUSED)
def test_refused(witness: Witness, said: str, status: int) -> None:
    """The client is told why and that it is over; nothing comes up."""
    seen = witness.see(wire(said) + END)
    refusal = REFUSAL.fullmatch(seen.heard)
    assert refusal, seen.heard
    assert int(refusal[1]) == status
    assert seen.requests == seen.unfinished == []


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
def test_a_broken_body_ends_both_connections(witness: Witness, said: str) -> None:
    """The upstream has at most a part, which it cannot take for a request, nor what follows."""
    seen = witness.see(wire(said) + END)
    assert re.match(rb"HTTP/1\.1 4\d\d [^\r\n]+\r\n.*connection: close\r\n", seen.heard, re.DOTALL)
    assert seen.heard.count(b"HTTP/1.1 ") == 1
    assert seen.requests == []
    assert all(each.ended for each in seen.upstreams[:-1])


def test_a_bad_one_behind_good_ones(witness: Witness) -> None:
    good = wire(GET)
    seen = witness.see(good + good + wire(f"{GET} a : b |") + END)
    assert seen.requests == [wire("GET / HTTP/1.1 | host: x |")] * 2
    assert REFUSAL.fullmatch(seen.heard.removeprefix(OK + OK))
