"""The new generation's side of a hot restart: what it asks of its parent, and what it tells it."""

from __future__ import annotations

import logging
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import attrs
import trio

from trioproxy.config.address import Address
from trioproxy.restart.channel import Channel, Received
from trioproxy.restart.credentials import Stranger, check_peer
from trioproxy.restart.packets import BadMessage, ChannelError, close_all
from trioproxy.restart.protocol import (
    CLOSE,
    GIVE_UP,
    TO_CHILD,
    Attempt,
    Close,
    Draining,
    DrainListeners,
    GiveUp,
    Hello,
    ListenSockets,
    PassListenSockets,
    Progress,
    Refused,
    Terminate,
    ToChild,
    Wait,
    Welcome,
)
from trioproxy.server.inherited import Inherited
from trioproxy.server.place import StartFailed
from trioproxy.server.search import search
from trioproxy.stats.layout import LAYOUT_VERSION
from trioproxy.stats.region import LayoutMismatch, Region

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from trioproxy.config.options import Options
    from trioproxy.config.server import HotRestart
    from trioproxy.restart.protocol import ToParent

log = logging.getLogger("trioproxy.main")

GRACE = 2.0  # seconds that a parent gets beyond the time to be gone

Answer = TypeVar("Answer", bound=ToChild)


class ParentLost(Exception):
    """The parent is gone, or as good as gone; the text says how."""


class ParentSilent(ParentLost):
    """The parent lives, but does not answer."""


@attrs.frozen
class Lineage:
    """What a generation is by its parents: its epoch, and when the first of them started.

    `first_start` is a time on Trio's clock; `history` are the latest starts that they know of.
    `healthy` are the hosts of each cluster, by their keys, that the parent found healthy.
    """

    epoch: int
    first_start: float
    history: tuple[Attempt, ...] = ()
    healthy: Mapping[str, Collection[str]] = attrs.Factory(dict)


class AsChild:
    """The session with the parent; without a parent, or when it is lost, nothing is done.

    `gone` is set once there is none; `epoch` is the one that it has, or had. `lost` says that there
    was one whose workers may still have its ports, and `silent` that it lives and may have every
    name.
    """

    def __init__(self, channel: Channel[ToChild] | None, config: HotRestart) -> None:
        self.gone = trio.Event()
        self.lost = self.silent = False
        self.progress: Progress | None = None
        self.epoch: int | None = None
        self._features: Sequence[str] = ()
        self._channel = channel
        self._config = config
        if channel is None:
            self.gone.set()

    @property
    def absent(self) -> bool:
        """Whether there is no parent, or no longer."""
        return self.gone.is_set()

    async def meet(self, epoch: int | None) -> tuple[Lineage, Region]:
        """Say Hello; returns who this makes us, and the statistics region.

        Raises StartFailed where the parent refuses, or is silent and we are not to go on alone.
        """
        if not self.absent:
            try:
                return await self._meet(epoch)
            except ParentLost as loss:
                self._lose(loss)
        return Lineage(epoch or 0, trio.current_time()), Region.create()

    async def _meet(self, epoch: int | None) -> tuple[Lineage, Region]:
        hello = Hello(epoch, self._config.init_timeout, LAYOUT_VERSION)
        received = await self._ask(hello, Welcome)
        welcome = received.message
        try:
            region = Region.attach(received.fds[0])
        except (LayoutMismatch, IndexError) as error:
            raise StartFailed(f"the parent's statistics region is of no use: {error}") from error
        finally:
            close_all(received.fds)
        log.info("epoch %d is the parent", welcome.epoch)
        self.epoch, self._features = welcome.epoch, welcome.features
        healthy = {each.cluster: each.hosts for each in welcome.healthy}
        first_start = trio.current_time() - welcome.uptime
        return Lineage(welcome.epoch + 1, first_start, welcome.history, healthy), region

    async def sockets(self) -> list[Inherited]:
        """Ask for the parent's listen sockets; the parent serves on.

        Raises StartFailed where the parent is silent and the configuration says so.
        """
        if self.absent:
            return []
        try:
            received = await self._ask(PassListenSockets(), ListenSockets)
        except ParentLost as loss:
            self._lose(loss)
            return []
        return [
            Inherited(
                each.listener, Address.parse(each.address), socket.socket(fileno=fd), each.lent
            )
            for each, fd in zip(received.message.sockets, received.fds, strict=False)
        ]

    async def drain(self, kept: Sequence[int], life: float) -> Sequence[socket.socket]:
        """Have the parent accept no more; returns when it does not, or does not answer.

        What is returned are the channels over which its workers offer their connections.
        """
        if self.absent:
            return []
        try:
            received = await self._ask(DrainListeners(tuple(kept), life), Draining)
        except ParentSilent as loss:
            log.warning("%s; taking over all the same", loss)
        except ParentLost as loss:
            log.warning("%s; taking over all the same", loss)
            self.gone.set()
        else:
            log.info("the parent drains %d connections", received.message.connections)
            return [socket.socket(fileno=fd) for fd in received.fds]
        return []

    async def hear_out(self) -> None:
        """Hear the parent until it is gone."""
        if self._channel is None or self.absent:
            return
        with suppress(ChannelError):
            while True:
                received = await self._channel.receive()
                close_all(received.fds)
                if isinstance(received.message, Progress):
                    self.progress = received.message
        self.progress = None
        log.info("the parent is gone")
        self.gone.set()

    async def see_off(self, life: float) -> None:
        """Tell the parent to go when `life` seconds are over and it is not gone yet."""
        with trio.move_on_after(life):
            return await self.gone.wait()
        await self.dismiss(0)

    async def dismiss(self, seconds: float) -> None:
        """Tell the parent to be gone in so many seconds; returns when it is, or should be."""
        if self.absent:
            return
        log.info("telling the parent to be gone in %.0f s", seconds)
        with suppress(ParentLost):
            await self._send(Terminate(seconds))
        with trio.move_on_after(seconds + GRACE):
            return await self.gone.wait()
        log.warning("the parent has not left in time")

    async def close(self, worker: int, number: int) -> bool:
        """Have a connection of the parent's leave; returns whether it could be asked to."""
        if self.absent or CLOSE not in self._features:
            return False
        with suppress(ParentLost):
            await self._send(Close(worker, number))
        return True

    async def give_up(self, error: Exception) -> None:
        """Tell the parent why this generation will never be ready."""
        if not self.absent and GIVE_UP in self._features:
            with suppress(ParentLost):
                await self._send(GiveUp(reason_of(error)))

    def _lose(self, loss: ParentLost) -> None:
        """Go on without the parent; raises StartFailed where that is not wanted."""
        self.silent = isinstance(loss, ParentSilent)
        if self.silent and self._config.parent_silent.then == "exit":
            raise StartFailed(f"{loss} (hot_restart.parent_silent)")
        log.warning("%s; starting without it", loss)
        self.lost = True
        self.gone.set()

    async def _ask(self, question: ToParent, kind: type[Answer]) -> Received[Answer]:
        """Return the answer to `question`; raises StartFailed if it is none, or ParentLost."""
        patience = self._config.parent_silent.after
        await self._send(question)
        while True:
            received = await self._hear(patience)
            match received.message:
                case Refused(reason=reason):
                    raise StartFailed(f"the parent refuses: {reason}")
                case Wait(seconds=seconds):
                    patience = seconds + self._config.parent_silent.after
                case answer if isinstance(answer, kind):
                    return Received(answer, received.fds)
                case other:
                    close_all(received.fds)
                    raise StartFailed(f"the parent says {type(other).__name__} out of turn")

    async def _hear(self, patience: float) -> Received[ToChild]:
        """Return what the parent says within `patience` seconds.

        Raises ParentLost, or StartFailed where it is not to be understood.
        """
        assert self._channel is not None
        with trio.move_on_after(patience):
            try:
                return await self._channel.receive()
            except BadMessage as error:
                raise StartFailed(f"the parent speaks another language: {error}") from error
            except ChannelError as error:
                raise ParentLost(f"the parent is gone: {error}") from error
        raise ParentSilent(f"the parent is silent for {patience:g} s")

    async def _send(self, message: ToParent) -> None:
        """Send, unless that takes too long; raises ParentSilent.

        A parent that is gone may have said why: let it be heard.
        """
        assert self._channel is not None
        with trio.move_on_after(self._config.parent_silent.after):
            with suppress(ChannelError):
                await self._channel.send(message)
            return
        raise ParentSilent("the parent does not read what it is told")


@asynccontextmanager
async def open_parent(options: Options, config: HotRestart) -> AsyncIterator[AsChild]:
    """Find the parent that the options speak of and speak with it; at the end it hears EOF.

    Raises StartFailed where there ought to be one.
    """
    sock = None
    if options.restart_epoch != 0 and not options.disable_hot_restart:
        sock = await search(options)
    if sock is None:
        yield AsChild(None, config)
        return
    with Channel(sock, TO_CHILD) as channel:
        try:
            log.info("found a parent (%s)", check_peer(sock, config.allow_uids))
        except Stranger as stranger:
            raise StartFailed(f"refusing the parent: {stranger}") from stranger
        child = AsChild(channel, config)
        try:
            yield child
        except Exception as error:
            await child.give_up(error)
            raise


def reason_of(error: BaseException) -> str:
    """Return what an error says, or the first one of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
