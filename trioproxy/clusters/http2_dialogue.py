"""A health check over HTTP/2: a request, and a status that is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.clusters.connecting import agreed
from trioproxy.clusters.http2_line import Http2Line
from trioproxy.clusters.http_dialogue import USER_AGENT, HttpDialogue, judge
from trioproxy.codec.messages import Request

if TYPE_CHECKING:
    from trio.abc import Stream

    from trioproxy.config.cluster import Cluster
    from trioproxy.config.health_check import HttpCheck


class Http2Dialogue:
    """Asks a host for a path, and looks at the status; remembers the connection it last used."""

    def __init__(self, check: HttpCheck, cluster: Cluster) -> None:
        self._check = check
        self._line: Http2Line | None = None
        self._request = Request(
            method=check.method,
            path=check.path,
            authority=check.host or cluster.name,
            scheme="http" if cluster.tls is None else "https",
        )
        headers = self._request.headers
        headers.set("user-agent", USER_AGENT)
        for name, value in check.headers.items():
            headers.set(name, value)

    async def __call__(self, stream: Stream) -> bool:
        """Return whether the connection can be used again; raises CheckFailed."""
        if self._line is None or self._line.stream is not stream:
            self._line = Http2Line(stream)
        judge(await self._line.ask(self._request), self._check)
        await self._line.rest()
        return self._line.can_ask


class AgreedDialogue:
    """Asks in the version of HTTP that was agreed on by TLS."""

    def __init__(self, check: HttpCheck, cluster: Cluster) -> None:
        self._http1 = HttpDialogue(check, cluster.name)
        self._http2 = Http2Dialogue(check, cluster)

    async def __call__(self, stream: Stream) -> bool:
        """Return whether the connection can be used again; raises CheckFailed."""
        return await (self._http2 if agreed(stream) == "h2" else self._http1)(stream)
