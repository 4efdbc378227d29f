"""What a connection passes before its filters: whose it is, its chain, its handshake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import trio

from trioproxy.drain.lifetime import Stand
from trioproxy.filters.tools import prepared
from trioproxy.listener.matching import Arrival, Matcher
from trioproxy.reactor.peek import peek
from trioproxy.stats.downstream import EntranceStats
from trioproxy.tls.hello import LONGEST, ClientHello, NotTls, read_hello

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioproxy.config import listener as config
    from trioproxy.filters.connection import Connection
    from trioproxy.filters.tools import Tools
    from trioproxy.listener.chains import Chain

    Looking = tuple[ClientHello, bool]

PLAIN = ClientHello()


class ListenerFilter(Protocol):
    """What a connection passes before a chain is chosen."""

    async def __call__(self, connection: Connection, /) -> bool:
        """Find something out about it; returns False where it cannot be served."""
        ...


class Entrance:
    """Lets connections of one listener in, to one of its chains."""

    def __init__(
        self, listener: config.Listener, chains: Sequence[Chain], scope: str, tools: Tools
    ) -> None:
        filters = [prepared(each, tools) for each in listener.listener_filters]
        self._filters = cast("list[ListenerFilter]", filters)
        self._chains = chains
        self._matcher = Matcher(chain.match for chain in listener.chains)
        self._timeout = listener.listener_filters_timeout
        self._stats = EntranceStats(tools.stats, scope)

    def __repr__(self) -> str:
        return f"<Entrance to {len(self._chains)} chains>"

    async def admit(self, connection: Connection) -> Chain | None:
        """Return the chain for a connection, its hands shaken; None where it is let go."""
        index = await self._choose(connection)
        if index is None:
            return None
        chain = self._chains[index]
        if chain.termination is not None and not await chain.termination.secure(connection):
            return None
        return chain

    async def _choose(self, connection: Connection) -> int | None:
        """Look at the connection's first bytes as far as needed; returns the chain's index."""
        lifetime, stats = connection.lifetime, self._stats
        if self._filters or self._matcher.inspects:
            lifetime.stand(Stand.STREAM, self._timeout)
            stats.downstream_pre_cx_active.add()
            try:
                hello, tls = await self._look(connection)
            except Refused:
                return None
            except trio.Cancelled:
                if lifetime.expired and not lifetime.drained:
                    stats.downstream_pre_cx_timeout.add()
                raise
            finally:
                stats.downstream_pre_cx_active.add(-1)
        else:
            hello, tls = PLAIN, False
        return self._match(connection, hello, tls=tls)

    async def _look(self, connection: Connection) -> Looking:
        """Run the listener filters, and read the ClientHello; raises Refused."""
        for each in self._filters:
            if not await each(connection):
                stats, gone = self._stats, connection.transport.hangup
                why = stats.downstream_listener_filter_error
                (stats.downstream_listener_filter_remote_close if gone else why).add()
                raise Refused
        if not self._matcher.inspects:
            return PLAIN, False
        try:
            hello = await peek(connection.transport, read_hello, LONGEST)
        except NotTls:
            return PLAIN, False
        if hello is None:
            self._stats.downstream_listener_filter_remote_close.add()
            raise Refused
        return hello, True

    def _match(self, connection: Connection, hello: ClientHello, *, tls: bool) -> int | None:
        arrival = Arrival(
            connection.local_port,
            self._matcher.source(connection.remote_ip.partition("%")[0]),
            tls,
            hello.server_name,
            self._matcher.known(hello.protocols),
        )
        index = self._matcher.choose(arrival)
        if index is None:
            self._stats.no_filter_chain_match.add()
        connection.server_name = hello.server_name
        return index


class Refused(Exception):
    """The connection cannot be served; that is counted already."""
