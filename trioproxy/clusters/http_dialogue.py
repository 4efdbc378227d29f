"""A health check over HTTP/1.1: a request, and a status that is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11

from trioproxy.clusters.probe import CheckFailed, Failure, HungUp
from trioproxy.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio.abc import Stream

    from trioproxy.config.health_check import HttpCheck, StatusRange

MAX_HEAD = 60 * 1024  # bytes
MOST = 64 * 1024  # bytes of a body that are read to keep a connection; a larger one is not worth it
LONGEST_REASON = 100  # characters: it may quote the host
USER_AGENT = "trioproxy-health-check"


class HttpDialogue:
    """Asks for a path, and looks at the status of the answer."""

    def __init__(self, check: HttpCheck, cluster: str) -> None:
        self._check = check
        headers = Headers()
        headers.set("host", check.host or cluster)
        headers.set("user-agent", USER_AGENT)
        for name, value in check.headers.items():
            headers.set(name, value)
        self._request = h11.Request(
            method=check.method, target=check.path, headers=headers.fields, http_version="1.1"
        )

    async def __call__(self, stream: Stream) -> bool:
        """Return whether the connection can be used again; raises CheckFailed."""
        line = Line(stream)
        try:
            await line.send(self._request)
            status = await line.status()
            judge(status, self._check)
            return await line.is_complete()
        except h11.RemoteProtocolError as error:
            raise CheckFailed(Failure.NETWORK, f"not HTTP: {error}"[:LONGEST_REASON]) from error


class Line:
    """One exchange over a stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._heard = False

    async def send(self, request: h11.Request) -> None:
        """Send a request without a body."""
        head = self._http.send(request) or b""
        await self._stream.send_all(head + (self._http.send(h11.EndOfMessage()) or b""))

    async def status(self) -> int:
        """Return the status of the final response; raises HungUp, h11.RemoteProtocolError."""
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event.status_code

    async def is_complete(self) -> bool:
        """Read to the end of the response; return whether another exchange may follow."""
        size = 0
        while size <= MOST:
            event = await self._next()
            if isinstance(event, h11.EndOfMessage):
                clean = self._http.trailing_data == (b"", False)
                return clean and self._http.their_state is h11.DONE
            if isinstance(event, h11.Data):
                size += len(event.data)
        return False

    async def _next(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._stream.receive_some()
            if not data and not self._heard:
                raise HungUp
            self._heard = True
            self._http.receive_data(bytes(data))
        return event


def judge(status: int, check: HttpCheck) -> None:
    """Raise CheckFailed where the status says that the host is not well."""
    if within(status, check.expected_statuses):
        return
    decisive = not within(status, check.retriable_statuses)
    raise CheckFailed(Failure.ACTIVE, f"status {status}", decisive=decisive)


def within(status: int, ranges: Sequence[StatusRange]) -> bool:
    """Say whether one of the ranges contains the status."""
    return any(status in each for each in ranges)
