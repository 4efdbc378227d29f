"""`proxy_protocol`: who is behind the balancer that a connection comes through."""

from functools import lru_cache
from ipaddress import ip_address
from typing import Annotated

import attrs

from trioproxy.codec.proxy_protocol import ABSENT, LONGEST, MalformedHeader, read_header
from trioproxy.config.networks import Cidr, networks
from trioproxy.filters.connection import Connection
from trioproxy.filters.tools import Tools
from trioproxy.reactor.peek import peek
from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter
from trioproxy.stats.writer import Writer

REMEMBERED = 4096
"""Sources whose verdict is remembered."""


class ProxyProtocolStats(Family):
    """`proxy_proto.`"""

    downstream_cx_proxy_proto_error: Counter
    not_found_allowed: Counter
    not_found_disallowed: Counter

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer, "proxy_proto")
        self.found = {
            version: writer.counter(f"proxy_proto.versions.{version}.found")
            for version in ("v1", "v2")
        }


@attrs.frozen
class ProxyProtocol:
    """Read a PROXY protocol header, version 1 or 2: its ends are those of the connection."""

    allow_requests_without_proxy_protocol: Annotated[
        bool, "Who begins without a header is served as who they are; false: let go"
    ] = False
    trusted_sources: Annotated[
        tuple[Cidr, ...],
        "Networks that may say so; what others say is not looked at. Empty: everybody",
    ] = ()

    def __attrs_post_init__(self) -> None:
        networks("trusted_sources", self.trusted_sources)

    def prepare(self, tools: Tools) -> "ProxyProtocolReading":
        """Return the filter."""
        return ProxyProtocolReading(self, ProxyProtocolStats(tools.stats))


class ProxyProtocolReading:
    """A `proxy_protocol` in service."""

    def __init__(self, config: ProxyProtocol, stats: ProxyProtocolStats) -> None:
        trusted = networks("trusted_sources", config.trusted_sources)

        def trusts(source: str) -> bool:
            return bool(source) and any(ip_address(source) in network for network in trusted)

        self._trusts = lru_cache(REMEMBERED)(trusts) if trusted else None
        self._optional = config.allow_requests_without_proxy_protocol
        self._stats = stats

    async def __call__(self, connection: Connection) -> bool:
        """Read the header; returns False where the connection cannot be served."""
        if self._trusts is not None and not self._trusts(connection.remote_ip.partition("%")[0]):
            return True
        try:
            header = await peek(connection.transport, read_header, LONGEST)
        except MalformedHeader:
            self._stats.downstream_cx_proxy_proto_error.add()
            return False
        if header is None:
            return False
        if header is ABSENT:
            missing = self._stats
            if self._optional:
                missing.not_found_allowed.add()
            else:
                missing.not_found_disallowed.add()
            return self._optional
        connection.transport.receive_nowait(header.length)
        self._stats.found[header.version].add()
        if header.source is not None and header.destination is not None:
            connection.appear(header.source, header.destination)
        return True
