"""Runs a filter alone, without a socket: what the tests of a filter stand on.

    upstream = Upstream(b"a sec", b"ret", headers={"content-type": "text/plain"})
    client = await ask(Redact(words=["secret"]), upstream, path="/page")
    assert client.body == b"a ***"
    assert upstream.request.path == "/page"

A filter that raises raises out of `ask`, where a proxy would answer for it.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import attrs
import trio

from trioproxy.accesslog.record import Record
from trioproxy.codec.messages import Framing, Request, Response
from trioproxy.drain.lifetime import Lifetime
from trioproxy.drain.sweep import Sweep
from trioproxy.filters.chain import chain
from trioproxy.filters.connection import Connection
from trioproxy.filters.exchange import Exchange, reason_phrase
from trioproxy.filters.tunnel import Tunnel
from trioproxy.reactor.scripted import Wire
from trioproxy.wire.body import WholeBody

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trioproxy.filters.chain import Filter
    from trioproxy.headers import Headers

REMOTE = ("192.0.2.1", 50000)


class Client:
    """A client that takes whatever it is sent."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.informed: list[Response] = []
        self.is_cut = False
        self._response: Response | None = None

    def __repr__(self) -> str:
        return f"<Client {self.status if self._response else 'waiting'} {self.body!r}>"

    @property
    def response(self) -> Response:
        """The head that it got; raises AssertionError where it got none."""
        assert self._response is not None, "the client got no response"
        return self._response

    @property
    def status(self) -> int:
        """The status that it got."""
        return self.response.status

    @property
    def headers(self) -> Headers:
        """The headers that it got."""
        return self.response.headers

    @property
    def body(self) -> bytes:
        """All that it got of the body; `pieces` has it as it came."""
        return b"".join(self.pieces)

    async def respond(self, exchange: Exchange) -> None:
        """Take a response."""
        self._response, body = exchange.response, exchange.response_body
        if exchange.request.method == "HEAD":
            self.response.bodiless = True
        if self.response.framing is not Framing.NONE and not isinstance(body, Tunnel):
            async for piece in body:
                self.pieces.append(piece)

    async def inform(self, response: Response) -> None:
        """Take an interim response."""
        self.informed.append(response)

    def received(self) -> None:
        """Hear that all of the request was taken."""

    def cut(self) -> None:
        """Hear that the connection was cut."""
        self.is_cut = True


class Upstream:
    """What stands behind the filter: answers every request alike, and remembers the last one."""

    def __init__(
        self, *pieces: bytes, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = b""
        self._pieces = pieces
        self._status = status
        self._headers = headers or {}
        self._request: Request | None = None

    @property
    def request(self) -> Request:
        """The request that came, its body is `body`; raises AssertionError where none came."""
        assert self._request is not None, "nothing was forwarded"
        return self._request

    @property
    def was_asked(self) -> bool:
        """Whether a request came."""
        return self._request is not None

    async def __call__(self, exchange: Exchange) -> None:
        """Take a request to its end, then answer."""
        self._request = exchange.request
        self.body = b"".join([piece async for piece in exchange.request_body])
        response = Response(status=self._status, reason=reason_phrase(self._status), chunked=True)
        for name, value in self._headers.items():
            response.headers.add(name, value)
        await exchange.send(response, Pieces(*self._pieces) if self._pieces else b"")


@attrs.define
class Hands:
    """A clock's hands, for a lifetime that nobody watches."""

    now: float = -inf


class Pieces:
    """A body that comes in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


def connection(wire: Wire | None = None, remote: tuple[str, int] | str = REMOTE) -> Connection:
    """Return a connection; to be called within Trio."""
    return Connection(wire or Wire(), Lifetime(Sweep(Hands())), remote, listener="test", number=1)


def exchange(
    client: Client,
    method: str = "GET",
    path: str = "/",
    *,
    headers: Mapping[str, str] | None = None,
    body: tuple[bytes, ...] = (),
    remote: tuple[str, int] | str = REMOTE,
) -> Exchange:
    """Return an exchange that `client` has begun; to be called within Trio."""
    request = Request(method=method, path=path, authority="example.org", chunked=bool(body))
    for name, value in (headers or {}).items():
        request.headers.add(name, value)
    record = Record(0.0, trio.current_time())
    record.request = request
    made = Exchange(connection(remote=remote), client, request, WholeBody(), record)
    if body:
        made.request_body = Pieces(*body)
    return made


async def ask(
    asked: Filter[Exchange],
    upstream: Upstream | None = None,
    method: str = "GET",
    path: str = "/",
    *,
    headers: Mapping[str, str] | None = None,
    body: tuple[bytes, ...] = (),
    remote: tuple[str, int] | str = REMOTE,
) -> Client:
    """Send a request through a filter and return the client with what it got."""
    client, behind = Client(), upstream or Upstream()
    begun = exchange(client, method, path, headers=headers, body=body, remote=remote)
    try:
        await asked(begun, behind)
    finally:
        await begun.close_bodies()
    return client


async def talk(asked: Filter[Connection], *said: bytes) -> bytes:
    """Have a client say `said` to a network filter that ends its chain; returns what it heard."""
    wire = Wire(*said)
    await chain([asked])(connection(wire))
    return wire.heard
