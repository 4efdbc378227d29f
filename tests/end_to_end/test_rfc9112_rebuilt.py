r"""RFC 9112 and 9110 by section, through the real proxy: what is accepted is rebuilt.

In the tables `>>` is what a client says and `<<` what the upstream receives, byte for byte. Behind
it the client says END, which must come up as the next request, or not at all where the section
wants the connection to end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from witness import END, END_UP, OK, cases

if TYPE_CHECKING:
    from witness import Witness

REBUILT = r"""
2.2 an empty line before the request
    >> | GET / HTTP/1.1 | Host: x |
    << GET / HTTP/1.1 | host: x |
2.3 HTTP/1.0 that wants to stay
    >> GET / HTTP/1.0 | Host: x | Connection: keep-alive |
    << GET / HTTP/1.1 | host: x |
2.3 HTTP/1.0 without Host
    >> POST / HTTP/1.0 | Connection: Keep-Alive | Content-Length: 2 | | hi\
    << POST / HTTP/1.1 | host:\x20 | content-length: 2 | | hi\
3.1 a method in lower case is another one
    >> get / HTTP/1.1 | Host: x |
    << get / HTTP/1.1 | host: x |
3.1 a method of one's own
    >> BREW / HTTP/1.1 | Host: x |
    << BREW / HTTP/1.1 | host: x |
3.2 encoded line ends stay encoded
    >> GET /%0d%0aHost:%20y HTTP/1.1 | Host: x |
    << GET /%0d%0aHost:%20y HTTP/1.1 | host: x |
3.2.1 two slashes are a path
    >> GET //y/ HTTP/1.1 | Host: x |
    << GET //y/ HTTP/1.1 | host: x |
3.2.1 a URI may stand in a path
    >> GET /http://y/ HTTP/1.1 | Host: x |
    << GET /http://y/ HTTP/1.1 | host: x |
3.2.2 absolute form
    >> GET http://x/a?b HTTP/1.1 | Host: x |
    << GET /a?b HTTP/1.1 | host: x |
3.2.2 absolute form without a path
    >> GET HTTP://x?b HTTP/1.1 | Host: x |
    << GET /?b HTTP/1.1 | host: x |
3.2.2 absolute form, Host without the default port
    >> GET http://x:80/ HTTP/1.1 | Host: X |
    << GET / HTTP/1.1 | host: x:80 |
3.2.2 absolute form in HTTP/1.0
    >> GET http://x/ HTTP/1.0 | Connection: keep-alive |
    << GET / HTTP/1.1 | host: x |
3.2.4 asterisk form
    >> OPTIONS * HTTP/1.1 | Host: x |
    << OPTIONS * HTTP/1.1 | host: x |
3.2.4 absolute form for an asterisk
    >> OPTIONS http://x HTTP/1.1 | Host: x |
    << OPTIONS * HTTP/1.1 | host: x |
5 names in lower case, values trimmed
    >> GET / HTTP/1.1 | hOST: x | A:b | C:\t d\x20 | E: | F:\xe4 |
    << GET / HTTP/1.1 | host: x | a: b | c: d | e:\x20 | f: \xe4 |
5.3 the order of fields
    >> GET / HTTP/1.1 | b: 2 | Host: x | a: 1 | b: 3 |
    << GET / HTTP/1.1 | host: x | b: 2 | a: 1 | b: 3 |
6.1 a coding in any case
    >> POST / HTTP/1.1 | Host: x | TRANSFER-ENCODING:\tChunked\x20 | | 2 | hi | 0 |
    << POST / HTTP/1.1 | host: x | transfer-encoding: chunked | | 2 | hi | 0 |
6.2 zeros before a length
    >> POST / HTTP/1.1 | Host: x | Content-Length: 0002 | | hi\
    << POST / HTTP/1.1 | host: x | content-length: 2 | | hi\
6.2 a request is a body
    >> POST / HTTP/1.1 | Host: x | Content-Length: 38 | | GET /smuggled HTTP/1.1 | Host: x | | END\
    << POST / HTTP/1.1 | host: x | content-length: 38 | | GET /smuggled HTTP/1.1 | Host: x | | END\
6.2 a body of GET
    >> GET / HTTP/1.1 | Host: x | Content-Length: 2 | | hi\
    << GET / HTTP/1.1 | host: x | content-length: 2 | | hi\
6.2 no body, said aloud
    >> POST / HTTP/1.1 | Host: x | Content-Length: 0 |
    << POST / HTTP/1.1 | host: x | content-length: 0 |
6.2 a field that is only like a length
    >> GET / HTTP/1.1 | Host: x | Content_Length: 5 |
    << GET / HTTP/1.1 | host: x | content_length: 5 |
7.1 sizes in capitals and with zeros, extensions
    >> POST / HTTP/1.1 | Host: x | Transfer-Encoding: chunked |
    >> 00B;a=b | hello,worl\n | 1;c="0 d" | d | 0;e |
    << POST / HTTP/1.1 | host: x | transfer-encoding: chunked |
    << c | hello,worl\nd | 0 |
7.1 chunks that look like the end
    >> POST / HTTP/1.1 | Host: x | Transfer-Encoding: chunked |
    >> 5 | 0\r\n\r\n | 2 | \r\n | 0 |
    << POST / HTTP/1.1 | host: x | transfer-encoding: chunked |
    << 7 | 0\r\n\r\n\r\n | 0 |
7.1.2 trailers, without those that frame, route or authenticate
    >> POST / HTTP/1.1 | Host: x | Transfer-Encoding: chunked | | 2 | hi | 0 | A: b
    >> Content-Length: 5 | Transfer-Encoding: chunked | Host: y | Authorization: z | Cookie: c |
    << POST / HTTP/1.1 | host: x | transfer-encoding: chunked | | 2 | hi | 0 | a: b |
9110 7.6.1 fields that Connection names
    >> GET / HTTP/1.1 | Host: x | Connection: A, b ,keep-alive | a: 1 | B: 2 | c: 3 | b: 4
    >> Keep-Alive: timeout=5 | Proxy-Connection: keep-alive |
    << GET / HTTP/1.1 | host: x | c: 3 |
9110 7.6.1 Connection may not name what frames or routes
    >> POST / HTTP/1.1 | Host: x | Connection: host, content-length | Content-Length: 2 | | hi\
    << POST / HTTP/1.1 | host: x | content-length: 2 | | hi\
9110 7.6.1 Connection may not name the coding
    >> POST / HTTP/1.1 | Host: x | Connection: transfer-encoding | Transfer-Encoding: chunked |
    >> 2 | hi | 0 |
    << POST / HTTP/1.1 | host: x | transfer-encoding: chunked | | 2 | hi | 0 |
9110 7.8 an upgrade that is not served
    >> GET / HTTP/1.1 | Host: x | Connection: Upgrade, HTTP2-Settings | Upgrade: h2c
    >> HTTP2-Settings: AAMAAABkAAQ |
    << GET / HTTP/1.1 | host: x |
9110 10.1.1 an expectation is this hop's, and already met
    >> POST / HTTP/1.1 | Host: x | Expect: 100-Continue | Content-Length: 2 | | hi\
    << POST / HTTP/1.1 | host: x | content-length: 2 | | hi\
9110 10.1.4 TE
    >> GET / HTTP/1.1 | Host: x | Connection: te | TE: gzip, trailers |
    << GET / HTTP/1.1 | host: x | connection: te | te: trailers |
"""

LAST_ONES = r"""
2.3 HTTP/1.0
    >> GET / HTTP/1.0 | Host: x |
    << GET / HTTP/1.1 | host: x |
6.2 HTTP/1.0 with a body
    >> POST / HTTP/1.0 | Host: x | Content-Length: 2 | | hi\
    << POST / HTTP/1.1 | host: x | content-length: 2 | | hi\
9.3 HTTP/1.1 that wants to leave
    >> GET / HTTP/1.1 | Host: x | Connection: close |
    << GET / HTTP/1.1 | host: x |
9.3 close has the last word
    >> GET / HTTP/1.1 | Host: x | Connection: keep-alive | Connection: x, CLOSE |
    << GET / HTTP/1.1 | host: x |
9.3 HTTP/1.0 that says both
    >> GET / HTTP/1.0 | Host: x | Connection: keep-alive, close |
    << GET / HTTP/1.1 | host: x |
9110 7.8 an upgrade in HTTP/1.0
    >> GET / HTTP/1.0 | Host: x | Connection: upgrade | Upgrade: websocket |
    << GET / HTTP/1.1 | host: x |
"""


@pytest.mark.parametrize(("said", "received"), cases(REBUILT))
def test_rebuilt(witness: Witness, said: bytes, received: bytes) -> None:
    """Each is one message on a connection of its own, and the next one stays the next one."""
    seen = witness.see(said + END)
    assert seen.requests == [received, END_UP]
    assert seen.unfinished == []
    assert seen.heard.count(b"HTTP/1.1 200 OK\r\n") == 2


@pytest.mark.parametrize(("said", "received"), cases(LAST_ONES))
def test_the_last_request_of_a_connection(witness: Witness, said: bytes, received: bytes) -> None:
    seen = witness.see(said + END)
    assert seen.requests == [received]
    assert seen.unfinished == []
    assert seen.heard == OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
