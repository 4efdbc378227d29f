"""A listener: its accept loop, and the life of each connection that it lets in."""

from __future__ import annotations

import logging
from math import inf
from typing import TYPE_CHECKING

import trio

from trioproxy.drain.lifetime import Lifetime, Stand
from trioproxy.errors import ProxyError
from trioproxy.filters.connection import Connection
from trioproxy.filters.offer import ends_of
from trioproxy.listener.chains import open_chain
from trioproxy.listener.entrance import Entrance
from trioproxy.reactor.crew import Crew
from trioproxy.reactor.transport import Transport
from trioproxy.stats.downstream import ListenerStats, ListenerWorkerStats

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from trioproxy.config import listener as config
    from trioproxy.config.drain import Rungs
    from trioproxy.drain.policy import Policy
    from trioproxy.filters.connection import SocketAddress
    from trioproxy.filters.handover import Inheritance
    from trioproxy.filters.offer import Offer
    from trioproxy.filters.tools import Tools
    from trioproxy.listener.chains import Chain
    from trioproxy.reactor.accept import Acceptor

    Arrival = tuple[socket.socket, SocketAddress, Lifetime, Inheritance | None]

log = logging.getLogger("trioproxy.listener")
BATCH = 64
UNLIMITED = 1 << 31
SAID = 10.0  # seconds for which a complaint is not repeated


class Listener:
    """One configured listener in one worker; its connections outlive its accepting."""

    def __init__(
        self,
        config: config.Listener,
        tools: Tools,
        connections: trio.Nursery,
        numbers: Iterator[int],
        drain: Rungs,
        arrived: Callable[[Listener, Lifetime], None],
        departed: Callable[[], None],
    ) -> None:
        self.config = config
        self.name = config.name
        self.living: dict[Lifetime, Connection | None] = {}  # None: its task has not begun
        self._tools = tools
        self._crew = Crew(connections, self.serve)
        self._numbers = numbers
        self._arrived = arrived
        self._departed = departed
        self._capacity = config.max_connections or UNLIMITED
        self._room = trio.lowlevel.ParkingLot()
        self._complained = -inf
        address = config.address.stat_name
        self._stats = ListenerStats(tools.stats, address)
        self._share = ListenerWorkerStats(tools.stats, address, tools.origin.worker)
        self._total = tools.stats.gauge("server.total_connections")
        scope = self._stats.scope
        policies = [config.policy(drain, each) for each in config.chains]
        chains = [
            open_chain(each, policy.shared(tools.origin.workers), self.name, scope, tools)
            for each, policy in zip(config.chains, policies, strict=True)
        ]
        self._only = chains[0]
        self._chains = {chain.key: chain for chain in chains}
        self._chosen: dict[Lifetime, Chain] = {}
        self._entrance = None if config.open else Entrance(config, chains, scope, tools)

    def __repr__(self) -> str:
        return f"<Listener {self.name} {len(self.living)} connections>"

    @property
    def moves(self) -> bool:
        """Whether any of its connections may go to the next generation."""
        return any(chain.moves for chain in self._chains.values())

    def may_move(self, lifetime: Lifetime) -> bool:
        """Whether a connection may; not while it is not known which chain it is for."""
        chain = self._only if self._entrance is None else self._chosen.get(lifetime)
        return chain is not None and chain.moves

    @property
    def policy(self) -> Policy:
        """How connections leave that were not told apart yet."""
        return self._only.policy

    def policy_of(self, lifetime: Lifetime) -> Policy:
        """How a connection leaves: as its chain says, the first one before it has any."""
        return self._chosen.get(lifetime, self._only).policy

    def refusal(self, offer: Offer) -> str:
        """Return why a connection of the previous generation cannot be had; empty if it can."""
        chain = self._chains.get(offer.chain)
        if chain is None:
            return f"listener {self.name} has no such chain"
        if chain.adopter is None or not chain.moves:
            return f"listener {self.name} takes no connections over"
        try:
            ends_of(offer)
        except ValueError:
            return "nobody can be told by its ends"
        return chain.adopter.refusal(offer)

    def adopt(self, sock: socket.socket, inheritance: Inheritance) -> None:
        """Go on with a connection of the previous generation."""
        try:
            peer = sock.getpeername()
        except OSError:
            peer = ""  # it is gone, and its filter will see that
        self._stats.downstream_cx_adopted.add()
        self._let_in(sock, peer, inheritance)

    async def accept(self, acceptor: Acceptor) -> None:
        """Let connections in until cancelled: those that are served never notice."""
        while True:
            await acceptor.wait()
            room = self._capacity - len(self.living)
            if room <= 0:
                self._stats.downstream_cx_overflow.add()
                await self._room.park()
            elif batch := acceptor.take(min(BATCH, room)):
                self._stats.connections_accepted_per_socket_event.record(len(batch))
                for sock, peer in batch:
                    self._let_in(sock, peer)

    def empty(self, acceptor: Acceptor) -> None:
        """Let in everybody who waits now, however many."""
        while True:
            try:
                sock, peer = acceptor.transport.sock.accept()
            except OSError:
                return
            self._let_in(sock, peer)

    def exhausted(self, error: OSError) -> None:
        """Take note that nobody can be accepted for now; logged once in a while."""
        now = trio.current_time()
        if now - self._complained >= SAID:
            self._complained = now
            log.warning("listener %s: %s; clients wait to be accepted", self.name, error.strerror)

    def _let_in(
        self, sock: socket.socket, peer: SocketAddress, inheritance: Inheritance | None = None
    ) -> None:
        """Have a connection served; it counts from now on, before its task has begun."""
        lifetime = Lifetime(self._tools.sweep, inheritance.offer.age if inheritance else 0.0)
        if self.policy.quiet is not None:
            lifetime.quiet = self.policy.quiet
        self._enter(lifetime, new=inheritance is None)
        self._crew.put((sock, peer, lifetime, inheritance))

    async def serve(self, arrival: Arrival, scope: trio.CancelScope) -> None:
        """Serve one connection in `scope` to its end, whatever happens."""
        sock, peer, lifetime, inheritance = arrival
        lifetime.run_in(scope)
        connection = self.living[lifetime] = Connection(
            Transport(self._tools.reactor, sock),
            lifetime,
            peer,
            listener=self.name,
            number=next(self._numbers),
            inheritance=inheritance,
        )
        try:
            with lifetime:
                chain = self._inherited(connection) or await self._admit(connection)
                if chain is not None:
                    connection.chain = chain.key
                    await chain.run(connection)
                    await connection.part()
        except (OSError, ProxyError):
            connection.transport.abort()
        except Exception:
            log.exception("a filter of listener %s failed", self.name)
            connection.transport.abort()
        except BaseExceptionGroup as ends:
            if ends.split(trio.Cancelled)[1] is not None:  # something failed when it was cancelled
                connection.transport.abort()
            raise
        finally:
            connection.transport.close()
            if inheritance is not None:
                inheritance.close()
            self._leave(connection)

    async def _admit(self, connection: Connection) -> Chain | None:
        """Return the chain for a connection; None where it is let go."""
        if self._entrance is None:
            return self._only
        chain = await self._entrance.admit(connection)
        if chain is not None:
            self._choose(connection, chain)
        return chain

    def _inherited(self, connection: Connection) -> Chain | None:
        """Return the chain that a connection of the previous generation was in."""
        if connection.inheritance is None:
            return None
        offer = connection.inheritance.offer
        chain = self._chains[offer.chain]
        self._choose(connection, chain)
        ends = ends_of(offer)
        if ends is not None:
            connection.appear(*ends)
        return chain

    def _choose(self, connection: Connection, chain: Chain) -> None:
        self._chosen[connection.lifetime] = chain
        connection.lifetime.stand(Stand.LIFE, inf)  # its filters may say otherwise
        connection.lifetime.quiet = inf if chain.policy.quiet is None else chain.policy.quiet

    def _enter(self, lifetime: Lifetime, *, new: bool) -> None:
        self.living[lifetime] = None
        self._arrived(self, lifetime)
        if new:
            self._stats.downstream_cx_total.add()
            self._share.downstream_cx_total.add()
        self._stats.downstream_cx_active.add()
        self._share.downstream_cx_active.add()
        self._total.add()

    def _leave(self, connection: Connection) -> None:
        del self.living[connection.lifetime]
        self._chosen.pop(connection.lifetime, None)
        self._stats.downstream_cx_active.add(-1)
        self._share.downstream_cx_active.add(-1)
        self._total.add(-1)
        if connection.moved:
            self._stats.downstream_cx_handed_over.add()
        else:
            self._stats.downstream_cx_destroy.add()
            self._stats.downstream_cx_length_ms.record(connection.lifetime.age * 1000)
        if len(self.living) == self._capacity - 1:
            self._room.unpark_all()
        self._departed()
