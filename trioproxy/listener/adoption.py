"""Taking connections over from a worker of the previous generation."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from trioproxy.filters.handover import Inheritance
from trioproxy.filters.offer import HTTP1, Accepted, Declined
from trioproxy.restart.packets import BadMessage, ChannelError, close_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trioproxy.filters.offer import Answer, Offer
    from trioproxy.listener.listener import Listener
    from trioproxy.restart.channel import Channel

log = logging.getLogger("trioproxy.listener")


class Adoption:
    """Answers one worker's offers until it is gone."""

    def __init__(self, channel: Channel[Offer], listeners: Mapping[str, Listener]) -> None:
        self._channel = channel
        self._listeners = listeners

    async def run(self) -> None:
        """Take what can be taken; the rest goes back at once."""
        count = 0
        with self._channel:
            try:
                while True:
                    received = await self._channel.receive()
                    count += await self._consider(received.message, received.fds)
            except BadMessage as error:
                log.warning("taking over no more connections: %s", error)
            except ChannelError:
                log.debug("no more connections will come")
        if count:
            log.info("took over %d connections", count)

    async def _consider(self, offer: Offer, fds: Sequence[int]) -> bool:
        """Answer one offer; returns whether it was accepted."""
        reason = self._refusal(offer, fds)
        if reason:
            close_all(fds)
            log.debug("declining a connection: %s", reason)
            await self._answer(Declined(offer.number, reason))
            return False
        with ExitStack() as undo:
            undo.callback(close_all, fds)
            await self._answer(Accepted(offer.number))
            undo.pop_all()
        client, *upstream = (socket.socket(fileno=fd) for fd in fds)
        inheritance = Inheritance(offer, upstream[0] if upstream else None)
        self._listeners[offer.listener].adopt(client, inheritance)
        return True

    async def _answer(self, answer: Answer) -> None:
        with suppress(ChannelError):  # who is dead has let go of it; other offers of theirs wait
            await self._channel.send(answer)

    def _refusal(self, offer: Offer, fds: Sequence[int]) -> str:
        """Return why not; empty where nothing speaks against it."""
        if len(fds) != (1 if offer.kind == HTTP1 else 2):
            return f"{len(fds)} descriptors make no {offer.kind} connection"
        listener = self._listeners.get(offer.listener)
        if listener is None:
            return f"there is no listener {offer.listener}"
        return listener.refusal(offer)
