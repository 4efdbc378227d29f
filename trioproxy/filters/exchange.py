"""An exchange: one request, its response, and both bodies, as HTTP filters see them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from trioproxy.codec.messages import Response
from trioproxy.filters.tunnel import Tunnel
from trioproxy.wire.body import WholeBody, WireBody

if TYPE_CHECKING:
    from trioproxy.accesslog.record import Record
    from trioproxy.codec.messages import Request
    from trioproxy.filters.connection import Connection

Body = AsyncIterable[bytes]
ResponseBody = Body | Tunnel
NO_BODY = WholeBody()
ResponseHook = Callable[["Exchange"], Awaitable[None]]


class Stream(Protocol):
    """The client's side of an exchange, whatever HTTP version it speaks."""

    async def respond(self, exchange: Exchange) -> None:
        """Send the exchange's response, head and body, to the end."""
        ...

    async def inform(self, response: Response) -> None:
        """Send an interim response (1xx)."""
        ...

    def cut(self) -> None:
        """End the response where it stands, so that the client cannot take it for a whole one."""
        ...


class Exchange:
    """What a filter is called with; `await forward(exchange)` lasts until the response is sent.

    Before it forwards, a filter may change `request` and wrap `request_body`, an async iterable of
    bytes: `exchange.request_body = redacted(exchange.request_body)`. With `on_response` it has a
    coroutine function called when the response head has come and before it is sent, which may do
    the same to `response` and `response_body`. Instead of forwarding it may `respond` itself.
    """

    __slots__ = (
        "_hooks",
        "_received",
        "connection",
        "record",
        "request",
        "request_body",
        "responded",
        "response",
        "response_body",
        "stream",
    )

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        request: Request,
        request_body: WholeBody | WireBody,
        record: Record,
    ) -> None:
        self.connection = connection
        self.stream = stream
        self.request = request
        self.request_body: Body = request_body
        self._received = request_body
        self.record = record
        self.response: Response | None = None
        self.response_body: ResponseBody = NO_BODY
        self.responded = False
        self._hooks: list[ResponseHook] | None = None

    def __repr__(self) -> str:
        state = self.response.status if self.response is not None else "no response yet"
        return f"<Exchange {self.request.method} {self.request.path} {state}>"

    @property
    def received(self) -> int:
        """How many bytes of the request's body have come from the client."""
        return self._received.size

    def on_response(self, hook: ResponseHook) -> None:
        """Have `hook(exchange)` awaited before the response is sent; the last one added first."""
        if self._hooks is None:
            self._hooks = []
        self._hooks.append(hook)

    async def respond(
        self, status: int, body: bytes | str = b"", headers: dict[str, str] | None = None
    ) -> None:
        """Answer without forwarding; raises ValueError for a header that cannot be sent."""
        response = Response(status=status, reason=reason_phrase(status))
        if body and not (headers and "content-type" in headers):
            response.headers.add("content-type", "text/plain; charset=utf-8")
        for name, value in (headers or {}).items():
            response.headers.set(name, value)
        await self.send(response, body.encode() if isinstance(body, str) else body)

    async def send(self, response: Response, body: ResponseBody | bytes) -> None:
        """Send a response through the filters that asked to see it."""
        self.response = response
        self.response_body = WholeBody(body) if isinstance(body, bytes) else body
        while self._hooks:
            await self._hooks.pop()(self)
        self.responded = True
        await self.stream.respond(self)


def reason_phrase(status: int) -> str:
    """Return the standard phrase of a status, empty where it has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
