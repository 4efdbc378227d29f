"""HTTP/2 to a host that is checked: a connection with one request at a time, by our own codec."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioproxy.clusters.connecting import agreed
from trioproxy.clusters.probe import CheckFailed, Failure, HungUp
from trioproxy.codec.errors import UnsafeMessage
from trioproxy.codec.h2 import events
from trioproxy.codec.h2.client import ClientConnection
from trioproxy.codec.h2.codec import Codec
from trioproxy.codec.h2.limits import Limits
from trioproxy.headers import Headers

if TYPE_CHECKING:
    from trio.abc import Stream

    from trioproxy.codec.messages import Request, Response

MOST = 64 * 1024  # bytes of a body that are read; a larger one is not worth it


@attrs.define
class Answer:
    """What has come so far of an answer; where `ended`, that is all."""

    head: Response | None = None
    body: bytes = b""
    trailers: Headers = attrs.Factory(Headers)
    ended: bool = False


class Http2Line:
    """One connection, over which a host is asked again and again; raises CheckFailed."""

    def __init__(self, stream: Stream) -> None:
        if agreed(stream) == "http/1.1":
            raise CheckFailed(Failure.NETWORK, "the host agreed on HTTP/1.1, not on HTTP/2")
        self.stream = stream
        self._http = ClientConnection(Limits(), Codec())
        self._asked = 0  # the stream of the request
        self._answer = Answer()

    async def ask(self, request: Request, body: bytes = b"") -> int:
        """Send a request; return the status of the final response.

        Raises CheckFailed, HungUp where the host closes the connection or takes no more requests.
        """
        self._http.relax()
        self._answer = Answer()
        try:
            self._asked = self._http.send_request(request, ended=not body)
        except UnsafeMessage as error:
            raise CheckFailed(Failure.NETWORK, str(error)) from error
        while body and not self._answer.ended:
            body = body[self._http.send_data(self._asked, body, ended=True) :]
            if body:
                await self._hear()
        while self._answer.head is None:
            await self._hear()
        return self._answer.head.status

    async def rest(self) -> Answer:
        """Return the answer when it has come to its end, or is longer than MOST."""
        while not self._answer.ended and len(self._answer.body) <= MOST:
            await self._hear()
        await self._flush()
        return self._answer

    @property
    def can_ask(self) -> bool:
        """Whether another request may follow."""
        return self._answer.ended and not self._http.streams and self._http.can_open

    async def _flush(self) -> None:
        if data := self._http.data_to_send():
            await self.stream.send_all(data)

    async def _hear(self) -> None:
        """Send what is to be sent, and hear more."""
        await self._flush()
        data = await self.stream.receive_some()
        if not data:
            raise self._ended()
        for event in self._http.receive(bytes(data)):
            self._note(event)

    def _ended(self) -> CheckFailed:
        if self._answer.head is None:
            return HungUp()
        return CheckFailed(Failure.NETWORK, "closed before its answer was whole")

    def _note(self, event: events.Event) -> None:
        answer = self._answer
        match event:
            case events.ConnectionFailed():
                raise CheckFailed(Failure.NETWORK, f"not HTTP/2: {event.detail}")
            case _ if event.stream_id != self._asked:
                pass
            case events.ResponseReceived() if event.response.status >= 200:
                answer.head, answer.ended = event.response, event.ended
            case events.DataReceived():
                answer.body += event.data
                answer.ended = event.ended
                self._http.acknowledge(self._asked, len(event.data))
            case events.TrailersReceived():
                answer.trailers, answer.ended = event.trailers, True
            case events.StreamReset() if not answer.ended:
                raise lost(event)


def lost(reset: events.StreamReset) -> CheckFailed:
    """Return what it means that a request was reset."""
    if not reset.by_peer:
        return CheckFailed(Failure.NETWORK, f"not HTTP/2: {reset.detail}")
    if reset.code == events.ErrorCode.REFUSED_STREAM:
        return HungUp("the request was refused")
    return CheckFailed(Failure.NETWORK, f"the request was reset with error {reset.code}")
