"""Hosts from an answer over HTTP that is asked for again and again."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs
import h11
import trio

from trioproxy.clusters.finding import DiscoveryFailed, Found
from trioproxy.clusters.listing import LARGEST_TEXT, read_listing

if TYPE_CHECKING:
    from trioproxy.config.discovery import PolledUrl
    from trioproxy.upstream.member import Member

PIECE = 65_536  # bytes


@attrs.define
class UrlFinder:
    """Finds the hosts that a URL lists; a server that knows ETag is spared telling them again."""

    config: PolledUrl
    _etag: bytes = b""
    _members: tuple[Member, ...] = ()

    async def __call__(self) -> Found:
        """Ask once; raises DiscoveryFailed."""
        url = self._source
        try:
            with trio.fail_after(self.config.timeout):
                status, etag, body = await self._ask()
        except trio.TooSlowError:
            raise DiscoveryFailed(f"{url}: no answer in time") from None
        except (OSError, trio.BrokenResourceError, h11.ProtocolError, ValueError) as error:
            # ValueError: a name that no address can be asked for, as one with a label too long.
            raise DiscoveryFailed(f"{url}: {_reason(error)}") from error
        if status == 304 and self._etag:
            return Found(self._members)
        if status != 200:
            raise DiscoveryFailed(f"{url}: status {status}")
        self._members = await trio.to_thread.run_sync(self._read, body)
        self._etag = etag
        return Found(self._members)

    def _read(self, body: bytes) -> tuple[Member, ...]:
        try:
            return read_listing(body.decode(), self._source, Path("/"))
        except UnicodeDecodeError:
            raise DiscoveryFailed(f"{self._source}: not UTF-8 text") from None

    @property
    def _source(self) -> str:
        """The URL as logs may have it: a query can hold secrets."""
        return self.config.url.partition("?")[0]

    async def _ask(self) -> tuple[int, bytes, bytes]:
        """Return the status, the ETag and the body of an answer."""
        async with await self._connect() as stream:
            connection = h11.Connection(h11.CLIENT)
            await stream.send_all(connection.send(self._request()) or b"")
            await stream.send_all(connection.send(h11.EndOfMessage()) or b"")
            return await receive(connection, stream)

    async def _connect(self) -> trio.abc.Stream:
        url = urlsplit(self.config.url)
        host, encrypted = url.hostname or "", url.scheme == "https"
        stream = await trio.open_tcp_stream(host, url.port or (443 if encrypted else 80))
        if not encrypted:
            return stream
        context = ssl.create_default_context()
        return trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)

    def _request(self) -> h11.Request:
        url = urlsplit(self.config.url)
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        headers = {"host": url.netloc, "accept": "application/json", "connection": "close"}
        headers |= {name.lower(): value for name, value in self.config.headers.items()}
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        if self._etag:  # it need not be ASCII
            fields.append((b"if-none-match", self._etag))
        return h11.Request(method="GET", target=target, headers=fields)


def _reason(error: Exception) -> str:
    """Return what went wrong; where TLS broke, the error behind the error says it."""
    return str(error.__cause__ or error) or type(error).__name__


async def receive(connection: h11.Connection, stream: trio.abc.Stream) -> tuple[int, bytes, bytes]:
    """Return the status, the ETag and the body of an answer; raises DiscoveryFailed."""
    status, etag, body = 0, b"", bytearray()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some(PIECE)))
            case h11.Response(status_code=status, headers=headers):
                etag = dict(headers).get(b"etag", b"")
            case h11.Data(data=data):
                body += data
                if len(body) > LARGEST_TEXT:
                    raise DiscoveryFailed(f"an answer of more than {LARGEST_TEXT} bytes")
            case h11.EndOfMessage():
                return status, etag, bytes(body)
