"""Handing connections over to the worker of the next generation, one by one, acknowledged.

The other side's answer is the commit. Without one nothing is touched: only a refusal, or the end of
the channel, gives a connection back; a timeout never does, or two would read one stream.
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import attrs
import trio

from trioproxy.filters.offer import ANSWERS, Accepted, Declined
from trioproxy.restart.channel import Channel
from trioproxy.restart.packets import ChannelError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from trioproxy.drain.lifetime import Lifetime
    from trioproxy.filters.connection import Connection
    from trioproxy.filters.offer import Answer, Offer
    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.connection import UpstreamConnection

# Enough to keep both sides busy. A connection pauses while its offer waits behind the others.
WINDOW = 8


class Moving(Exception):
    """The next generation takes connections: offer this one."""


class Adopter(Protocol):
    """A terminal network filter whose connections can move."""

    def refusal(self, offer: Offer) -> str:
        """Return why a connection of the previous generation cannot be had; empty if it can."""
        ...


@attrs.define(eq=False)
class Inheritance:
    """What came with a connection from the previous generation; the socket is the upstream's."""

    offer: Offer
    sock: socket.socket | None

    def take_socket(self) -> socket.socket:
        """Return the upstream's socket, which is the caller's from here on."""
        sock, self.sock = self.sock, None
        assert sock is not None
        return sock

    def close(self) -> None:
        """Close what nobody took."""
        if self.sock is not None:
            self.sock.close()


def missing_host(clusters: Mapping[str, Cluster], offer: Offer) -> str:
    """Return what of a connection's upstream is not configured here; empty if all of it is."""
    cluster = clusters.get(offer.cluster)
    if cluster is None:
        return f"there is no cluster {offer.cluster}"
    if cluster.host_named(offer.host) is None:
        return f"cluster {offer.cluster} has no host {offer.host}"
    return ""


class Waiting:
    """An offer that is not answered yet."""

    __slots__ = ("accepted", "answered")

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.accepted = False


class Successor:
    """A worker of the next generation, at the other end of `sock`: what it was offered, and said.

    It may live on for a while though its generation has failed, and another one has come.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.open = True
        self.accepted = 0
        self.declined = 0
        self._channel = Channel(sock, ANSWERS)
        self._waiting: dict[int, Waiting] = {}
        self._numbers = itertools.count()
        self._answers = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<Successor {self.accepted} accepted, {len(self._waiting)} waiting>"

    def end(self) -> None:
        """Make no more offers; those that are made wait for their answers."""
        self.open = False
        self._answers.unpark_all()

    async def hear(self) -> None:
        """Hear answers until the other side is gone: then what is not answered is declined."""
        with self._channel:
            with suppress(ChannelError):
                while True:
                    self._answer((await self._channel.receive()).message)
            self.end()
            for number in list(self._waiting):
                self._answer(Declined(number, "the next generation is gone"))

    async def room(self) -> None:
        """Wait until one more offer may be made, or none at all."""
        while self.open and len(self._waiting) >= WINDOW:
            await self._answers.park()

    async def commit(self, offer: Offer, fds: list[int]) -> bool:
        """Make an offer and wait for the answer; returns whether it was accepted."""
        if not self.open:
            return False
        number = next(self._numbers)
        waiting = self._waiting[number] = Waiting()
        try:
            await self._channel.send(attrs.evolve(offer, number=number), fds)
            await waiting.answered.wait()
        except ChannelError:  # it was not delivered
            return False
        finally:
            self._waiting.pop(number, None)
            self._answers.unpark()
        return waiting.accepted

    def _answer(self, answer: Answer) -> None:
        waiting = self._waiting.pop(answer.number, None)
        if waiting is None:
            return
        if isinstance(answer, Accepted):
            self.accepted += 1
            waiting.accepted = True
        else:
            self.declined += 1
        waiting.answered.set()


class HandOver:
    """The offering end. `stay` is called with each connection that cannot go."""

    def __init__(self) -> None:
        self.stay: Callable[[Lifetime], None] = lambda _lifetime: None
        self._successor: Successor | None = None

    def __repr__(self) -> str:
        return f"<HandOver to {self._successor}>"

    @property
    def open(self) -> bool:
        """Whether offers are made."""
        return self._successor is not None and self._successor.open

    @property
    def counts(self) -> dict[str, int]:
        """How many offers the successor has accepted and declined; none where there is none."""
        successor = self._successor
        if successor is None:
            return {"moved": 0, "declined": 0}
        return {"moved": successor.accepted, "declined": successor.declined}

    def begin(self, sock: socket.socket) -> Successor:
        """Make offers to whoever is at the other end; to `hear` them is to be run next."""
        self._successor = Successor(sock)
        return self._successor

    def end(self) -> None:
        """Make no more offers to the successor, and forget it."""
        if self._successor is not None:
            self._successor.end()
            self._successor = None

    async def room(self) -> None:
        """Wait until one more offer may be made, or none at all."""
        if self._successor is not None:
            await self._successor.room()

    async def offer(
        self, connection: Connection, offer: Offer, upstream: UpstreamConnection | None = None
    ) -> bool:
        """Offer a connection and wait for the answer; returns whether it has moved.

        Then it is closed on this side. If not, it stays, and `stay` has been called.
        """
        offer = attrs.evolve(offer, chain=connection.chain, ends=connection.told)
        transports = [connection.transport] + ([upstream.transport] if upstream else [])
        for transport in transports:
            transport.shared = True
        fds = [transport.fd for transport in transports]
        if self._successor is not None and await self._successor.commit(offer, fds):
            connection.moved = True
            connection.transport.close()
            if upstream is not None:
                upstream.depart()
            return True
        for transport in transports:
            transport.shared = False
        self.stay(connection.lifetime)
        return False
