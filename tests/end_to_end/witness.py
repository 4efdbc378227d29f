"""Both sides of the proxy at once: a client's raw bytes go in, and what of them comes up is kept.

The upstream reads with h11, which knows nothing of the proxy's own codec. After the client's
connection has ended a last request, LAST, follows on another one: what the proxy had sent up until
then has arrived when that is answered, so nobody has to wait for what must not come.
"""

from __future__ import annotations

import itertools
import re
import select
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import attrs
import h11
import pytest
from dialogue import wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _pytest.mark import ParameterSet
    from instances import Instance

PATIENCE = 10.0  # seconds until silence is a failure
SPLIT = 0.001  # seconds between pieces, so that most of them arrive as such
YAML = """
listeners:
- {name: once, address: 127.0.0.1:0, filters: [{http_connection_manager: {
    use_remote_address: false, generate_request_id: false, stat_prefix: once,
    routes: [{match: {prefix: /}, route: {cluster: once}},
             {match: {regex: "[*]"}, route: {cluster: once}}]}}]}
- {name: kept, address: 127.0.0.1:0, filters: [{http_connection_manager: {
    use_remote_address: false, generate_request_id: false, stat_prefix: kept,
    routes: [{match: {prefix: /}, route: {cluster: kept, timeout: 500ms}}]}}]}
clusters:
- {name: once, endpoints: [$origin], max_requests_per_connection: 1}
- {name: kept, endpoints: [$origin]}
"""
OK = wire("HTTP/1.1 200 OK | content-length: 2 | | ok\\")
END = wire("GET /end HTTP/1.1 | Host: end | Connection: close |")
END_UP = wire("GET /end HTTP/1.1 | host: end |")
ASK_LAST = wire("GET /last HTTP/1.1 | Host: last | Connection: close |")
LAST = wire("GET /last HTTP/1.1 | host: last |")


def cases(table: str) -> list[ParameterSet]:
    """Read a table of titles, each above what is said, `>>`, and what comes of it, `<<`."""
    found = re.findall(r"^(\S.*)\n((?: .*\n)+)", table, re.MULTILINE)
    return [pytest.param(_rows(">>", rows), _rows("<<", rows), id=title) for title, rows in found]


def _rows(sign: str, rows: str) -> bytes:
    return b"".join(map(wire, re.findall(rf"^ +{sign} ?(.*)", rows, re.MULTILINE)))


TOKEN = rb"[!#$%&'*+.^_`|~0-9a-zA-Z-]+"
STRICT_HEAD = re.compile(
    rb"%b [!-~]+ HTTP/1\.1\r\n(?:[!#$%%&'*+.^_`|~0-9a-z-]+: (?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*"
    rb"[!-~\x80-\xff])?)?\r\n)*\r\n" % TOKEN
)
ONCE = (b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"te")
HOP_BY_HOP = {b"keep-alive", b"proxy-connection", b"http2-settings"}


@attrs.frozen
class Message:
    """A request as h11 reads it, and the bytes that it is made of."""

    raw: bytes
    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def content(self) -> tuple[bytes, bytes, bytes]:
        """What a proxy may not change."""
        return self.method, self.target, self.body

    def check(self) -> None:
        """Hold it to more than h11 does: one way to read it, and nothing of the client's hop."""
        assert STRICT_HEAD.match(self.raw), f"not a strict head: {self.raw!r}"
        names = [name for name, _ in self.headers]
        assert names.count(b"host") == 1, f"not one host: {self.raw!r}"
        assert all(names.count(name) <= 1 for name in ONCE), f"a field too many: {self.raw!r}"
        assert not HOP_BY_HOP & set(names), f"a field of the client's hop: {self.raw!r}"
        framed = {b"content-length", b"transfer-encoding"} & set(names)
        assert len(framed) <= 1, f"framed in two ways: {self.raw!r}"
        assert dict(self.headers).get(b"transfer-encoding", b"chunked") == b"chunked"


def take_request(raw: bytes) -> tuple[Message | None, bytes]:
    """Take the first request off `raw`, if it is whole; raises h11.RemoteProtocolError."""
    if not raw:
        return None, raw  # h11 would take it for the end
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    server.receive_data(raw)
    head, body = None, b""
    while not isinstance(event := server.next_event(), h11.EndOfMessage):
        if event in (h11.NEED_DATA, h11.PAUSED):
            return None, raw
        if isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
    assert head
    rest = server.trailing_data[0]
    mine = raw[: len(raw) - len(rest)]
    return Message(mine, head.method, head.target, list(head.headers), body), rest


class Upstream:
    """A connection that the proxy made: `requests` came whole and strict, `rest` did not."""

    def __init__(self, sock: socket.socket, answers: Mapping[bytes, bytes]) -> None:
        self.sock = sock
        self.requests: list[Message] = []
        self.rest = b""
        self.ended = False
        self._answers = answers

    def hear(self) -> None:
        """Take what came, and answer each request by its target; `(fin)` closes behind it."""
        data = received(self.sock)
        self.ended = not data
        self.rest += data
        while (taken := take_request(self.rest))[0]:
            message, self.rest = taken
            assert message
            message.check()
            self.requests.append(message)
            answer = self._answers.get(message.target.partition(b"?")[0], OK)
            say(self.sock, answer.removesuffix(b"(fin)"))
            if answer.endswith(b"(fin)"):
                self.sock.shutdown(socket.SHUT_WR)


def say(sock: socket.socket, data: bytes) -> None:
    """Send it, if anybody still listens."""
    with suppress(ConnectionError):
        sock.sendall(data)


def received(sock: socket.socket) -> bytes:
    """Return what there is; nothing at the end of the stream, however it came."""
    try:
        return sock.recv(1 << 20)
    except ConnectionError:
        return b""


@attrs.frozen
class Seen:
    """What came of it: all that the client heard, and each connection to the upstream."""

    heard: bytes
    upstreams: list[Upstream]

    @property
    def requests(self) -> list[bytes]:
        """The requests that came up, LAST left out, each as the bytes that it was made of."""
        *requests, last = [each.raw for upstream in self.upstreams for each in upstream.requests]
        assert last == LAST
        return requests

    @property
    def unfinished(self) -> list[bytes]:
        """What came up and was no whole request."""
        return [upstream.rest for upstream in self.upstreams if upstream.rest]


class Witness:
    """An upstream, and the clients of the proxy before it.

    The listener `once` makes a connection to the upstream for every request, `kept` keeps them.
    """

    def __init__(self, upstream: socket.socket, proxy: Instance) -> None:
        self._listening = upstream
        self._proxy = proxy

    def see(
        self,
        said: bytes,
        answers: Mapping[bytes, bytes] | None = None,
        *,
        listener: str = "once",
        cuts: Sequence[int] = (),
    ) -> Seen:
        """Have a client say this, in pieces, and hear to the end, which the proxy must make.

        `answers` are the upstream's, by path; a `(fin)` at an end closes behind it.
        """
        places = [0, *sorted(cuts), len(said)]
        pieces = [said[begin:end] for begin, end in itertools.pairwise(places)]
        upstreams: list[Upstream] = []
        with ExitStack() as stack:
            stack.callback(lambda: [upstream.sock.close() for upstream in upstreams])
            heard = self._converse(listener, pieces, upstreams, answers or {})
            self._converse(listener, [ASK_LAST], upstreams, {})
            for upstream in upstreams:
                while not upstream.ended and select.select([upstream.sock], [], [], 0)[0]:
                    upstream.hear()
        return Seen(heard, upstreams)

    def _converse(
        self,
        listener: str,
        pieces: list[bytes],
        upstreams: list[Upstream],
        answers: Mapping[bytes, bytes],
    ) -> bytes:
        heard = b""
        with self._proxy.connect(listener) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                if pieces:
                    say(client, pieces.pop(0))
                patience = SPLIT if pieces else PATIENCE
                alive = {each.sock: each for each in upstreams if not each.ended}
                ready, _, _ = select.select([client, self._listening, *alive], [], [], patience)
                assert ready or pieces, f"silence after {heard!r}"
                if self._listening in ready:
                    upstreams.append(Upstream(self._listening.accept()[0], answers))
                for sock in alive.keys() & set(ready):
                    alive[sock].hear()
                if client in ready:
                    data = received(client)
                    heard += data
                    if not data:
                        return heard
