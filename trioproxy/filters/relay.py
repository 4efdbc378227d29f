"""Bytes between a client and a host, in both directions: what `tcp_proxy` and tunnels do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioproxy.drain.lifetime import Rung
from trioproxy.errors import DownstreamClosed, UpstreamReset
from trioproxy.filters.goodbye import TIME_FOR_IT, Closing
from trioproxy.filters.handover import Moving
from trioproxy.filters.offer import Offer, to_text
from trioproxy.reactor.flow import Flow
from trioproxy.reactor.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.filters.connection import Connection
    from trioproxy.filters.goodbye import Goodbye
    from trioproxy.filters.tools import Tools
    from trioproxy.reactor.pump import Progress
    from trioproxy.upstream.connection import UpstreamConnection


class Relay:
    """Lets bytes flow, `forth` and `back` first, until both directions have ended.

    Or until the next generation has the connection: `describe` makes the offer, to which the relay
    adds what is on its way. Ended directions need no word: their end is seen and passed on again.

    With a `goodbye` both sides are told before the connection's time is over.
    """

    def __init__(
        self,
        client: Connection,
        upstream: UpstreamConnection,
        tools: Tools,
        progress: Progress,
        describe: Callable[[], Offer],
        *,
        forth: bytes = b"",
        back: bytes = b"",
        goodbye: Goodbye | None = None,
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._handover = tools.handover
        self._describe = describe
        self._forth = Flow(client.transport, upstream.transport, held=forth)
        self._back = Flow(upstream.transport, client.transport, held=back)
        self._pump = Pump([self._forth, self._back], tools.pipes, progress)
        self._goodbye = goodbye
        if goodbye is not None:
            goodbye.listen(self._forth, self._back)
            client.lifetime.alarm(self._close, Rung.LIFE, TIME_FOR_IT)

    def __repr__(self) -> str:
        return f"<Relay {self._client} to {self._upstream}>"

    async def run(self) -> None:
        """Run to the end; raises DownstreamClosed or UpstreamReset, by whose socket fails.

        A host that has said all may close on what the client still says: then the client gets its
        last words, and this ends well.
        """
        try:
            await self._flow()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            if self._pump.broken is self._client.transport:
                raise DownstreamClosed(reason) from error
            if self._pump.cut:
                raise UpstreamReset(reason) from error
            await self._client.linger()

    async def _flow(self) -> None:
        lifetime = self._client.lifetime
        lifetime.mover = self._move
        try:
            while not (lifetime.called and await self._offer()):
                try:
                    return await self._pump.run()
                except Moving:
                    continue
                except Closing:
                    assert self._goodbye is not None
                    return await self._goodbye.say(self._forth, self._back)
        finally:
            lifetime.mover = None

    def _move(self) -> None:
        self._pump.interrupt(Moving())

    def _close(self) -> None:
        self._pump.interrupt(Closing())

    async def _offer(self) -> bool:
        if not (self._client.transport.bare and self._upstream.transport.bare):
            self._handover.stay(self._client.lifetime)  # TLS cannot leave its process
            return False
        held = to_text(self._forth.held), to_text(self._back.held)
        upstream = self._upstream
        offer = attrs.evolve(
            self._describe(),
            listener=self._client.listener,
            age=self._client.lifetime.age,
            cluster=upstream.cluster.name,
            host=upstream.host.name,
            forth=held[0],
            back=held[1],
            frames=self._goodbye.frames if self._goodbye else (),
        )
        return await self._handover.offer(self._client, offer, upstream)
