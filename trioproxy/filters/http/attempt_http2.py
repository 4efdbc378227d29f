"""A try at a request over HTTP/2: a stream among others on a connection to the host."""

from __future__ import annotations

from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING

from trioproxy.codec.errors import UnsafeMessage
from trioproxy.errors import DownstreamProtocolError, UpstreamProtocolError, UpstreamReset
from trioproxy.filters.grpc import OK, is_grpc, status_of
from trioproxy.filters.http.attempt import Attempt
from trioproxy.filters.http.upload import AnsweredEarly
from trioproxy.filters.http2_upgrade import extended, switched
from trioproxy.filters.tunnel import StreamTunnel, Tunnel
from trioproxy.wire.body import WholeBody

if TYPE_CHECKING:
    from trioproxy.codec.messages import Request, Response
    from trioproxy.headers import Headers
    from trioproxy.upstream.http2 import Http2Upstream
    from trioproxy.upstream.http2_stream import UpstreamStream

PHRASES = {int(status): status.phrase for status in HTTPStatus}


class Http2Attempt(Attempt):
    """A request on a stream, which is reset unless both messages are complete."""

    __slots__ = ("_stream",)

    _stream: UpstreamStream

    async def send(self, until: float) -> None:
        """Open a stream, `until` then, and send the request.

        A body that is still on its way is left to `finish`: it and the response may take turns.
        """
        request, upload = self.exchange.request, self.upload
        pool = self.cluster.http2(self.host)
        if request.upgrade:
            self._upgrade(await pool.lease_introduced(until), request)
            return
        upstream = await pool.lease(until)
        whole = upload.done
        stream = self._stream = upstream.open(request, ended=whole and not upload.first)
        self.begun = upload.begun = True
        if not whole:
            raise AnsweredEarly
        self._limit(stream.bound)
        if upload.first:
            try:
                await stream.send(upload.first, ended=True)
            except UpstreamReset:
                return  # it reads no more; whatever it has answered is still there to be read

    def _upgrade(self, upstream: Http2Upstream, request: Request) -> None:
        if not upstream.codec.extended_connect or request.upgrade != "websocket":
            raise UpstreamProtocolError(f"the host takes no {request.upgrade} over HTTP/2")
        self._stream = upstream.open(extended(request), ended=False)
        self.begun = self.upload.begun = True
        self._limit(self._stream.bound)

    async def finish(self) -> None:
        """Send what is left of the request; where the host reads no more, leave it at that."""
        upload, stream = self.upload, self._stream
        assert upload.rest is not None
        try:
            async for piece in upload.rest:
                upload.touch()
                await stream.send(piece)
            self.exchange.stream.received()
            if self.response is None:
                self._limit(stream.bound)
            await self._end(self.exchange.request_trailers)
        except UpstreamReset:
            return
        upload.done = True

    async def _end(self, trailers: Headers) -> None:
        if not trailers.fields:
            await self._stream.send(b"", ended=True)
            return
        try:
            self._stream.send_trailers(trailers)
        except UnsafeMessage as error:
            raise DownstreamProtocolError(str(error)) from error

    async def receive(self) -> Response:
        """Return the response head; interim responses are passed on."""
        stream = self._stream
        while True:
            response = await stream.response()
            response.reason = PHRASES.get(response.status, "")  # HTTP/2 has none
            if response.status >= 200:
                break
            if response.status != 100 and self.exchange.request.minor:
                await self.exchange.stream.inform(response)
        body = stream.body
        if self.exchange.request.upgrade and response.status < 300:
            response = switched(self.exchange.request, response)
        self.response = response
        self.body = WholeBody(body.available()) if body.whole else body
        return response

    def tunnel(self) -> Tunnel:
        """Return the stream."""
        return StreamTunnel(self._stream, self._tools.tunnel_idle_timeout, self.goodbye())

    def unlimit(self) -> None:
        """The response head has come."""
        self._stream.bound.when = inf

    def leave(self, *, clean: bool) -> None:
        """Let go of the stream."""
        if self.begun:
            whole = self.upload.done and self.response is not None and self.body.done
            self._stream.leave(clean=clean and whole)
            if self.exchange.request.te_trailers and is_grpc(self.exchange.request):
                self._count_call()

    def _count_call(self) -> None:
        stats, response = self.cluster.grpc_stats, self.response
        stats.total.add()
        succeeded = response is not None and status_of(response, self.body.trailers) == OK
        (stats.success if succeeded else stats.failure).add()
