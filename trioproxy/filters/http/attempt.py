"""One try at a request: a connection to one host, the request up, the response down."""

from __future__ import annotations

from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Self

from trioproxy.codec.errors import MalformedMessage
from trioproxy.errors import (
    PendingTimeout,
    UpstreamError,
    UpstreamOverflow,
    UpstreamProtocolError,
    UpstreamReset,
)
from trioproxy.wire.body import WholeBody, WireBody, body_of
from trioproxy.wire.reader import HeadTooLarge, Reader, Truncated

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from trioproxy.codec.h1 import Codec
    from trioproxy.codec.messages import Response
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http.upload import Upload
    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.connection import UpstreamConnection
    from trioproxy.upstream.host import Host
    from trioproxy.upstream.monitor import Monitor

    Limit = Callable[[UpstreamConnection], None]

MAX_RESPONSE_HEAD = 60 * 1024
RESPONSE_SIZE = 80 * 1024  # a head and a body of 64 KiB, in one piece where it came as one
SAFE_TO_REPEAT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


class StaleConnection(UpstreamReset):
    """A kept connection turned out to be closed: the host has probably not seen the request."""


NOT_THE_HOST = (PendingTimeout, StaleConnection, UpstreamOverflow)


class Attempt:
    """A request at `host`; leaving the block gives the connection back, or closes it.

    The connection is kept for the next request only where both messages are complete. `limit` is
    called with it when the request is all here.
    """

    __slots__ = (
        "_codec",
        "_kept",
        "_leased",
        "_limit",
        "_started",
        "body",
        "cluster",
        "connection",
        "exchange",
        "host",
        "reader",
        "response",
        "upload",
    )

    connection: UpstreamConnection
    reader: Reader
    body: WholeBody | WireBody

    def __init__(
        self,
        exchange: Exchange,
        cluster: Cluster,
        host: Host,
        upload: Upload,
        codec: Codec,
        limit: Limit,
    ) -> None:
        self._codec = codec
        self._limit = limit
        self._kept = False
        self._started = perf_counter()
        self.exchange = exchange
        self.cluster = cluster
        self.host = host
        self.upload = upload
        self._leased = False
        self.response: Response | None = None

    def __repr__(self) -> str:
        return f"<Attempt at {self.host.name}>"

    def __enter__(self) -> Self:
        self.host.begin()
        self.cluster.stats.upstream_rq_total.add()
        self.cluster.stats.upstream_rq_active.add()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stats, response = self.cluster.stats, self.response
        stats.upstream_rq_active.add(-1)
        if self.host.monitor is not None:
            self._judge(self.host.monitor, error)
        if self._leased:
            self._leave(clean=kind is None)
        if response is not None:
            stats.upstream_rq_response(response.status)
            stats.upstream_rq_time.record((perf_counter() - self._started) * 1000)
            self.host.end(succeeded=response.status < 500)
        else:
            self.host.end(succeeded=False)
            if not self._leased and not isinstance(error, UpstreamError):
                stats.upstream_rq_cancelled.add()

    def _judge(self, monitor: Monitor, error: BaseException | None) -> None:
        """Say what the host did; that the client left, or that we are too busy, is not its doing.

        Nor does a connection say anything that it closed while nobody used it.
        """
        if isinstance(error, UpstreamError):
            if not isinstance(error, NOT_THE_HOST):
                monitor.failed()
        elif self.response is not None:
            monitor.answered(self.response.status)

    def _leave(self, *, clean: bool) -> None:
        connection, reader, response = self.connection, self.reader, self.response
        self.cluster.stats.upstream_cx_tx_bytes_total.add(self.upload.take_count())
        self.cluster.stats.upstream_cx_rx_bytes_total.add(reader.received)
        connection.when = inf
        if (
            clean
            and response is not None
            and response.keep_alive
            and response.status != 101
            and self.body.done
            and self.upload.done
            and not reader.pending
        ):
            self.cluster.release(connection)
        else:
            if clean and response is not None and not response.keep_alive:
                self.cluster.stats.upstream_cx_close_notify.add()
            connection.close(abort=not clean)

    async def send(self, until: float) -> None:
        """Lease a connection, `until` then, and send the request.

        Raises UpstreamError, AnsweredEarly.
        """
        request, upload, host = self.exchange.request, self.upload, self.host
        connection = self.cluster.take_idle(host) or await self._lease(host, until)
        self.connection = connection
        self._leased = True
        self.reader = Reader(connection.transport, RESPONSE_SIZE)
        self._kept = connection.requests > 0
        connection.requests += 1
        if self._kept and request.method not in SAFE_TO_REPEAT and not connection.settle():
            raise StaleConnection("closed while idle")
        head = self._codec.encode_request(request)
        if upload.done:
            self._limit(connection)
        try:
            await upload.send(head, connection.transport, self.received)
        except UpstreamReset:
            self.received()  # it reads no more; whatever it has answered is still there to be read

    async def _lease(self, host: Host, until: float) -> UpstreamConnection:
        tells = self.cluster.config.proxy_protocol is not None
        return await self.cluster.lease(
            host, until, self.exchange.connection.ends if tells else None
        )

    def received(self) -> None:
        """The last of the request has come: from now on only the response head is waited for."""
        self.exchange.connection.transport.look_ahead()  # a FIN right behind it belongs to it
        if self.response is None:
            self._limit(self.connection)

    async def receive(self) -> Response:
        """Return the response head, and `body` is set; interim responses are passed on.

        Raises UpstreamError, or DownstreamClosed from passing one on.
        """
        while True:
            response = await self._receive_head()
            if response.status >= 200 or response.status == 101:
                break
            if response.status != 100 and self.exchange.request.minor:
                await self.exchange.stream.inform(response)
        self.response = response
        self.body = body_of(
            response, self.reader, closed=UpstreamReset, malformed=UpstreamProtocolError
        )
        return response

    async def _receive_head(self) -> Response:
        try:
            head = await self.reader.head(MAX_RESPONSE_HEAD)
            if head is None:
                raise self._reset("closed before the response")
            return self._codec.parse_response(head, self.exchange.request.method)
        except HeadTooLarge:
            raise UpstreamProtocolError("response headers too large") from None
        except MalformedMessage as malformed:
            raise UpstreamProtocolError(malformed.detail) from malformed
        except Truncated:
            raise UpstreamReset("closed in the middle of the response head") from None
        except OSError as error:
            raise self._reset(error.strerror or str(error)) from error

    def _reset(self, detail: str) -> UpstreamReset:
        if self._kept and not self.reader.received:
            return StaleConnection(detail)
        return UpstreamReset(detail)
