"""One try at a request: a connection to one host, the request up, the response down."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Self

import trio

from trioproxy.codec.body import decoder
from trioproxy.codec.errors import MalformedMessage
from trioproxy.errors import (
    DownstreamClosed,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamReset,
)
from trioproxy.filters.connection import local_address
from trioproxy.reactor.epoll import HANGUP
from trioproxy.wire.body import WireBody
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
        "body",
        "cluster",
        "connection",
        "exchange",
        "host",
        "reader",
        "response",
        "started",
        "upload",
    )

    connection: UpstreamConnection
    reader: Reader
    body: WireBody

    def __init__(
        self, exchange: Exchange, cluster: Cluster, host: Host, upload: Upload, codec: Codec
    ) -> None:
        self._codec = codec
        self._kept = False
        self.exchange = exchange
        self.cluster = cluster
        self.host = host
        self.upload = upload
        self.response: Response | None = None
        self.started = trio.current_time()

    def __repr__(self) -> str:
        return f"<Attempt at {self.host.name}>"

    def __enter__(self) -> Self:
        self.host.active += 1
        stats = self.cluster.stats
        stats.upstream_rq_total.add()
        stats.upstream_rq_active.add()
        self.host.stats.rq_total.add()
        self.host.stats.rq_active.add()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        host, stats = self.host, self.cluster.stats
        host.active -= 1
        stats.upstream_rq_active.add(-1)
        host.stats.rq_active.add(-1)
        if hasattr(self, "connection"):
            self._leave(clean=kind is None)
        if self.response is not None:
            status = self.response.status
            stats.upstream_rq_response(status)
            stats.upstream_rq_time.record((trio.current_time() - self.started) * 1000)
            (host.stats.rq_success if status < 500 else host.stats.rq_error).add()
        elif isinstance(error, UpstreamError):
            host.stats.rq_error.add()
        elif kind is not None:
            stats.upstream_rq_cancelled.add()

    def _leave(self, *, clean: bool) -> None:
        connection, response = self.connection, self.response
        stats = self.cluster.stats
        stats.upstream_cx_rx_bytes_total.add(self.reader.received)
        connection.when = inf
        if (
            clean
            and response is not None
            and response.keep_alive
            and self.body.done
            and self.upload.done
            and not self.reader.pending
        ):
            self.cluster.release(connection)
        else:
            connection.close(abort=not clean)

    async def send(self) -> None:
        """Lease a connection and send the request; raises UpstreamError, AnsweredEarly."""
        exchange, record = self.exchange, self.exchange.record
        self.connection = connection = await self.cluster.lease(self.host)
        self.reader = Reader(connection.transport)
        self._kept = connection.requests > 0
        connection.requests += 1
        request = exchange.request
        if self._kept and request.method not in SAFE_TO_REPEAT and not connection.settle():
            raise StaleConnection("closed while idle")
        record.upstream_host = self.host.name
        head = self._codec.encode_request(request)
        try:
            await self.upload.send(head, connection.transport)
        except UpstreamReset as error:
            raise self._reset(str(error)) from error
        finally:
            self.cluster.stats.upstream_cx_tx_bytes_total.add(len(head) + self.upload.sent)

    async def receive(self) -> Response:
        """Return the response head, `body` is set; interim responses are passed on.

        Raises UpstreamError, or DownstreamClosed where the client hangs up meanwhile.
        """
        client = self.exchange.connection.transport
        if not client.hangup:
            # A client that had closed its half with the request itself still wants an answer.
            self.reader.watch(client, HANGUP, DownstreamClosed)
        while True:
            response = await self._receive_head()
            if response.status >= 200 or response.status == 101:
                break
            if response.status != 100 and self.exchange.request.minor:
                await self.exchange.stream.inform(response)
        self.response = response
        self.connection.when = inf
        self.body = WireBody(
            self.reader, decoder(response), closed=UpstreamReset, malformed=UpstreamProtocolError
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

    @property
    def upstream_local(self) -> str:
        """The address that the connection goes out from."""
        return local_address(self.connection.transport.sock)
