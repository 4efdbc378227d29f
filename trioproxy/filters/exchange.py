"""An exchange: one request, its response, and both bodies, as HTTP filters see them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from trioproxy.codec.messages import Response
from trioproxy.filters.bodies import Body, Transform, is_empty, read_whole
from trioproxy.filters.grpc import is_grpc, refusal
from trioproxy.filters.tunnel import Tunnel
from trioproxy.headers import Headers
from trioproxy.wire.body import ArrivingBody, WholeBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trioproxy.accesslog.record import Record
    from trioproxy.codec.messages import Request
    from trioproxy.drain.lifetime import Lifetime
    from trioproxy.filters.connection import Connection

ResponseBody = Body | Tunnel
NO_BODY = WholeBody()
ResponseHook = Callable[["Exchange"], Awaitable[None]]
LARGEST_READ = 1 << 20


class Stream(Protocol):
    """The client's side of an exchange, whatever HTTP version it speaks."""

    async def respond(self, exchange: Exchange) -> None:
        """Send the exchange's response, head and body, to the end."""
        ...

    async def inform(self, response: Response) -> None:
        """Send an interim response (1xx)."""
        ...

    def received(self) -> None:
        """Take note that the last of the request's body has come."""
        ...

    def cut(self) -> None:
        """End the response where it stands, so that the client cannot take it for a whole one."""
        ...


class Exchange:
    """What a filter is called with; `await forward(exchange)` lasts until the response is sent.

    Before it forwards, a filter may change `request` and have the body pass through an async
    generator, `transform_request`, or read it whole. What it wants to see or change of the response
    it asks for before it forwards too: `on_response` names a coroutine function that is awaited
    when the head has come and before it is sent, `transform_response` a generator for the body.
    Instead of forwarding it may `respond` itself.

    `responded` tells that the response is on its way, `complete` that the client has all of it.
    `lifetime` is the connection's, or that of its stream where the connection has several.
    """

    __slots__ = (
        "_generators",
        "_hooks",
        "_received",
        "_sent",
        "complete",
        "connection",
        "lifetime",
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
        request_body: WholeBody | ArrivingBody,
        record: Record,
        lifetime: Lifetime | None = None,
    ) -> None:
        self.connection = connection
        self.lifetime = connection.lifetime if lifetime is None else lifetime
        self.stream = stream
        self.request = request
        self.request_body: Body = request_body
        self._received = request_body
        self._sent: ResponseBody = NO_BODY
        self.record = record
        self.response: Response | None = None
        self.response_body: ResponseBody = NO_BODY
        self.responded = False
        self.complete = False
        self._hooks: list[ResponseHook] | None = None
        self._generators: AsyncExitStack | None = None

    def __repr__(self) -> str:
        state = self.response.status if self.response is not None else "no response yet"
        return f"<Exchange {self.request.method} {self.request.path} {state}>"

    @property
    def received(self) -> int:
        """How many bytes of the request's body have come from the client."""
        return self._received.size

    @property
    def received_all(self) -> bool:
        """Whether the whole request has come from the client."""
        return self._received.done

    @property
    def missing(self) -> int:
        """How many bytes at least are still to come of a request that was not received whole."""
        return self._received.left or 1

    @property
    def request_trailers(self) -> Headers:
        """The fields behind the request's body, whatever became of the body itself."""
        return self._received.trailers

    @property
    def response_trailers(self) -> Headers:
        """The fields behind the response's body, whatever became of the body itself."""
        sent = self._sent
        return sent.trailers if isinstance(sent, ArrivingBody) else Headers()

    async def read_request(self, limit: int = LARGEST_READ) -> bytes:
        """Return the whole request body, which is still sent on; raises BodyTooLarge (413)."""
        data = await read_whole(self.request_body, limit, status=413)
        self.request_body = WholeBody(data)
        return data

    async def read_response(self, limit: int = LARGEST_READ) -> bytes:
        """Return the whole response body, within `on_response`; raises BodyTooLarge (502)."""
        if isinstance(self.response_body, Tunnel):
            return b""
        data = await read_whole(self.response_body, limit, status=502)
        self.response_body = WholeBody(data)
        return data

    def transform_request(self, transform: Transform) -> None:
        """Have the request body, if there is one, pass through `transform`."""
        if not is_empty(self.request_body):
            self.request_body = self._kept(transform(aiter(self.request_body)))

    def transform_response(self, transform: Transform) -> None:
        """Have the response body, if there is one, pass through `transform`.

        Raises RuntimeError where it is too late.
        """
        self._check_unanswered()
        if self.response is None:
            self.on_response(partial(_transform, transform))
        elif not isinstance(self.response_body, Tunnel):
            self.response.content_length = None  # a HEAD's response has one without a body
            if not is_empty(self.response_body):
                self.response_body = self._kept(transform(aiter(self.response_body)))

    def on_response(self, hook: ResponseHook) -> ResponseHook:
        """Have `hook(exchange)` awaited before the response is sent; the last one added first.

        Returns the hook, so that this can decorate one. Raises RuntimeError where it is too late.
        """
        self._check_unanswered()
        if self._hooks is None:
            self._hooks = []
        self._hooks.append(hook)
        return hook

    async def respond(
        self,
        status: int,
        body: Body | bytes | str = b"",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer without forwarding; an iterable `body` is streamed, a text is `text/plain`.

        A call by gRPC is told of any other status than 200 in its own way. Raises ValueError for a
        header that cannot be sent.
        """
        if status != HTTPStatus.OK and is_grpc(self.request):
            await self.send(refusal(status, body if isinstance(body, str) else ""), b"")
            return
        response = Response(status=status, reason=reason_phrase(status))
        for name, value in (headers or {}).items():
            response.headers.set(name, value)
        if isinstance(body, str):
            if body and "content-type" not in response.headers:
                response.headers.add("content-type", "text/plain; charset=utf-8")
            body = body.encode()
        elif isinstance(body, AsyncGenerator):
            self._kept(body)
        await self.send(response, body)

    async def send(self, response: Response, body: ResponseBody | bytes) -> None:
        """Send a response through the filters that asked to see it.

        Raises RuntimeError where there was one already, and what those filters raise: the next
        response, which then tells of that, is sent past them.
        """
        self._check_unanswered()
        self.response = response
        self.response_body = self._sent = WholeBody(body) if isinstance(body, bytes) else body
        try:
            while self._hooks:
                await self._hooks.pop()(self)
        except BaseException:
            self._hooks = None
            raise
        self.responded = True
        await self.stream.respond(self)
        self.complete = True

    @property
    def has_generators(self) -> bool:
        """Whether `close_bodies` has anything to do."""
        return self._generators is not None

    async def close_bodies(self) -> None:
        """Close the generators that filters made bodies of, whether or not they came to an end."""
        if self._generators is not None:
            await self._generators.aclose()

    def _kept(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        if isinstance(body, AsyncGenerator):
            if self._generators is None:
                self._generators = AsyncExitStack()
            self._generators.push_async_callback(body.aclose)
        return body

    def _check_unanswered(self) -> None:
        if self.responded:
            raise RuntimeError("the response is on its way already")


async def _transform(transform: Transform, exchange: Exchange) -> None:
    exchange.transform_response(transform)


def reason_phrase(status: int) -> str:
    """Return the standard phrase of a status, empty where it has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
