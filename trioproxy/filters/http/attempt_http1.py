"""A try at a request over HTTP/1: a connection of its own for as long as it lasts."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from trioproxy.codec.errors import MalformedMessage
from trioproxy.errors import StaleConnection, UpstreamProtocolError, UpstreamReset
from trioproxy.filters.http.attempt import SAFE_TO_REPEAT, Attempt
from trioproxy.filters.tunnel import SocketTunnel, Tunnel
from trioproxy.wire.body import body_of
from trioproxy.wire.reader import HeadTooLarge, Reader, Truncated

if TYPE_CHECKING:
    from trioproxy.codec.messages import Response
    from trioproxy.upstream.connection import UpstreamConnection
    from trioproxy.upstream.host import Host

MAX_RESPONSE_HEAD = 60 * 1024
RESPONSE_SIZE = 80 * 1024  # a head and a body of 64 KiB, in one piece where it came as one


class Http1Attempt(Attempt):
    """A request on a leased connection, which is kept for the next one or closed.

    It is kept only where both messages are complete.
    """

    __slots__ = ("_kept", "connection", "reader")

    connection: UpstreamConnection
    reader: Reader

    def leave(self, *, clean: bool) -> None:
        """Give the connection back, or close it."""
        if not self.begun:
            return
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
        """Lease a connection, `until` then, and send the request."""
        request, upload, host = self.exchange.request, self.upload, self.host
        connection = self.cluster.take_idle(host) or await self._lease(host, until)
        self.connection = connection
        self.begun = True
        self.reader = Reader(connection.transport, RESPONSE_SIZE)
        self._kept = connection.requests > 0
        connection.requests += 1
        if self._kept and request.method not in SAFE_TO_REPEAT and not connection.settle():
            raise StaleConnection("closed while idle")
        head = self._tools.codec.encode_request(request)
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
        self.exchange.stream.received()
        if self.response is None:
            self._limit(self.connection)

    async def receive(self) -> Response:
        """Return the response head; interim responses are passed on."""
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
            return self._tools.codec.parse_response(head, self.exchange.request.method)
        except HeadTooLarge:
            raise UpstreamProtocolError("response headers too large") from None
        except MalformedMessage as malformed:
            raise UpstreamProtocolError(malformed.detail) from malformed
        except Truncated:
            raise UpstreamReset("closed in the middle of the response head") from None
        except OSError as error:
            raise self._reset(error.strerror or str(error)) from error

    async def finish(self) -> None:
        """Send what is left of the request; where the host reads no more, leave it at that."""
        try:
            await self.upload.finish(self.connection.transport, self.received)
        except UpstreamReset:
            return  # whatever it answered is still there to be read

    def unlimit(self) -> None:
        """The response head has come."""
        self.connection.when = inf

    def tunnel(self) -> Tunnel:
        """Return the connection, and what came behind the response head."""
        reader = self.reader
        held, reader.pending = reader.pending, b""
        reader.received -= len(held)  # it is counted with what flows
        timeout = self._tools.tunnel_idle_timeout
        return SocketTunnel(self.connection, held, timeout, self.goodbye())

    def _reset(self, detail: str) -> UpstreamReset:
        if self._kept and not self.reader.received:
            return StaleConnection(detail)
        return UpstreamReset(detail)
