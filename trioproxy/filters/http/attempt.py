"""One try at a request: a connection to one host, the request up, the response down."""

from __future__ import annotations

from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Self

from trioproxy.codec.errors import MalformedMessage
from trioproxy.errors import (
    DownstreamClosed,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamReset,
)
from trioproxy.reactor.epoll import HANGUP
from trioproxy.wire.body import WholeBody, WireBody, body_of
from trioproxy.wire.reader import HeadTooLarge, Reader, Truncated

if TYPE_CHECKING:
    from types import TracebackType

    from trioproxy.codec.h1 import Codec
    from trioproxy.codec.messages import Response
    from trioproxy.filters.exchange import Exchange
    from trioproxy.filters.http.upload import Upload
    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.connection import UpstreamConnection
    from trioproxy.upstream.host import Host

MAX_RESPONSE_HEAD = 60 * 1024
RESPONSE_SIZE = 80 * 1024  # a head and a body of 64 KiB, in one piece where it came as one
SAFE_TO_REPEAT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


class StaleConnection(UpstreamReset):
    """A kept connection turned out to be closed: the host has probably not seen the request."""


class Attempt:
    """A request at `host`; leaving the block gives the connection back, or closes it.

    The connection is kept for the next request only where both messages are complete.
    """

    __slots__ = (
        "_codec",
        "_kept",
        "_leased",
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
        self, exchange: Exchange, cluster: Cluster, host: Host, upload: Upload, codec: Codec
    ) -> None:
        self._codec = codec
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

    def _leave(self, *, clean: bool) -> None:
        connection, reader, response = self.connection, self.reader, self.response
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

    async def send(self) -> None:
        """Lease a connection and send the request; raises UpstreamError, AnsweredEarly."""
        request, upload = self.exchange.request, self.upload
        connection = self.cluster.take_idle(self.host) or await self.cluster.lease(self.host)
        self.connection = connection
        self._leased = True
        self.reader = Reader(connection.transport, RESPONSE_SIZE)
        self._kept = connection.requests > 0
        connection.requests += 1
        if self._kept and request.method not in SAFE_TO_REPEAT and not connection.settle():
            raise StaleConnection("closed while idle")
        head = self._codec.encode_request(request)
        try:
            await upload.send(head, connection.transport)
        except UpstreamReset as error:
            raise self._reset(str(error)) from error
        finally:
            self.cluster.stats.upstream_cx_tx_bytes_total.add(len(head) + upload.sent)

    async def receive(self, *, watching: bool = True) -> Response:
        """Return the response head, and `body` is set; interim responses are passed on.

        Raises UpstreamError, or DownstreamClosed where the client hangs up meanwhile.
        """
        client, reader = self.exchange.connection.transport, self.reader
        if watching and not client.hangup:
            # A client that had closed its half with the request itself still wants an answer.
            reader.watch(client, HANGUP, DownstreamClosed)
        while True:
            response = await self._receive_head()
            if response.status >= 200 or response.status == 101:
                break
            if response.status != 100 and self.exchange.request.minor:
                await self.exchange.stream.inform(response)
        self.response = response
        self.body = body_of(response, reader, closed=UpstreamReset, malformed=UpstreamProtocolError)
        return response

    async def _receive_head(self) -> Response:
        try:
            head = await self.reader.head(MAX_RESPONSE_HEAD)
            if head is None:
                raise self._reset("closed before the response")
            return self._codec.parse_response(head, self.exchange.request.method)
        except HeadTooLarge:
            raise UpstreamProtocolError("response headers too large") from None
        except MalformedMessage as error:
            raise UpstreamProtocolError(error.detail) from error
        except Truncated:
            raise UpstreamReset("closed in the middle of the response head") from None
        except OSError as error:
            raise self._reset(error.strerror or str(error)) from error

    def _reset(self, detail: str) -> UpstreamReset:
        if self._kept and not self.reader.received:
            return StaleConnection(detail)
        return UpstreamReset(detail)
