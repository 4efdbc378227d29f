"""The serving generation's side of a hot restart: it answers whoever wants to take over.

Each who connects is heard in a task of its own, and only after Hello and a look at its user does it
become the one session that there may be. Whatever the session did is undone when it ends before
Terminate: a child that dies, at whatever stage, leaves everything as it was.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING, TypeVar

import trio

from trioproxy.restart.channel import Channel, PeerGone
from trioproxy.restart.credentials import Stranger, check_peer
from trioproxy.restart.packets import BadMessage, close_all
from trioproxy.restart.protocol import (
    HAND_OVER,
    PROGRESS,
    TO_PARENT,
    Close,
    Draining,
    DrainListeners,
    GiveUp,
    Healthy,
    Hello,
    ListenSockets,
    Passed,
    PassListenSockets,
    Refused,
    Terminate,
    ToParent,
    Wait,
    Welcome,
)
from trioproxy.restart.version import PROTOCOL_VERSION
from trioproxy.server.as_child import GRACE
from trioproxy.server.giving_way import giving_way, open_hand_over, passing_on
from trioproxy.server.progress import progress_of
from trioproxy.stats.layout import LAYOUT_VERSION

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from trioproxy.restart.protocol import ToChild
    from trioproxy.server.generation import Generation

log = logging.getLogger("trioproxy.main")

PATIENCE = 5.0  # seconds for Hello, for a packet to be taken, and beyond what was agreed upon
LAST_MOMENTS = 10.0  # seconds that our own parent gets when a third generation is ready
PROGRESS_PAUSE = 1.0  # seconds
BACK_OFF = 0.1  # seconds, when there are no descriptors left to accept with

Message = TypeVar("Message", bound=ToParent)


class NotNow(Exception):
    """The child cannot take over; the text says why."""


class AsParent:
    """Answers children, one at a time; sessions run in `nursery`."""

    def __init__(self, generation: Generation, nursery: trio.Nursery) -> None:
        self._generation = generation
        self._nursery = nursery
        self._busy = False

    async def accept(self, listening: socket.socket) -> None:
        """Let children in until cancelled; sessions go on."""
        while True:
            await trio.lowlevel.wait_readable(listening)
            try:
                sock, _ = listening.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                log.warning("cannot accept on the control socket: %s", error)
                await trio.sleep(BACK_OFF)
            else:
                self._nursery.start_soon(self.attend, sock)

    async def attend(self, sock: socket.socket) -> None:
        """Be the parent of whoever is at the other end, until that is over."""
        with Channel(sock, TO_PARENT) as channel:
            session = Session(channel, self._generation)
            try:
                peer = check_peer(sock, self._generation.config.hot_restart.allow_uids)
                await session.greet()
                with self._only_one():
                    log.info("a next generation starts (%s)", peer)
                    await self._be_parent(session)
            except PeerGone:
                return  # it said nothing yet
            except (NotNow, Stranger, BadMessage) as reason:
                log.warning("refusing a next generation: %s", reason)
                if session.greeted:  # else it may be anybody, who would fill the history
                    session.note(f"refused: {reason}")
                with suppress(PeerGone), trio.move_on_after(PATIENCE):
                    await channel.send(Refused(str(reason)))
            except Exception:  # a session ends here; what it had is taken back, and main serves on
                log.exception("a session with a next generation failed")

    async def _be_parent(self, session: Session) -> None:
        """Run a session until the child dies; raises NotNow, BadMessage where it misbehaves."""
        try:
            await session.run()
        except PeerGone:
            session.note(session.last_words)
            leaving = self._generation.ending.asked.is_set()
            consequence = "leaving all the same" if leaving else "serving as before"
            log.warning("the next generation died: %s", consequence)

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        if self._busy:
            raise NotNow("another generation is being started already")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False


class Session:
    """One child's way from Hello to Terminate."""

    def __init__(self, channel: Channel[ToParent], generation: Generation) -> None:
        self._channel = channel
        self._generation = generation
        self._patience = PATIENCE
        self._features: Sequence[str] = ()
        self._offers: Sequence[socket.socket] = ()
        self.last_words = "died before it was ready"
        self.greeted = False
        self._begun = trio.current_time()

    def note(self, outcome: str) -> None:
        """Have the history say what became of this attempt."""
        generation, seconds = self._generation, trio.current_time() - self._begun
        generation.history.note(generation.epoch + 1, seconds, outcome)

    async def greet(self) -> None:
        """Hear Hello; raises NotNow where it does not fit, PeerGone or BadMessage."""
        hello = await self._hear(Hello)
        self.greeted = True
        ours = (PROTOCOL_VERSION, LAYOUT_VERSION)
        if (hello.version, hello.layout) != ours:
            theirs = f"{hello.version}.{hello.layout}"
            raise NotNow(f"hot restart version {theirs} cannot follow {ours[0]}.{ours[1]}")
        epoch = self._generation.epoch
        if hello.epoch not in {None, epoch + 1}:
            raise NotNow(f"epoch {hello.epoch} cannot follow epoch {epoch}")
        self._features = hello.features
        self._patience = hello.init_timeout + PATIENCE

    async def run(self) -> None:
        """Give the child what it asks for, and take it back when this raises.

        Raises PeerGone where the child dies, NotNow and BadMessage where it misbehaves.
        """
        generation = self._generation
        known = generation.clusters.healthy().items()
        welcome = Welcome(
            generation.epoch,
            generation.uptime_all_epochs,
            history=generation.history.attempts,
            healthy=tuple(Healthy(cluster, hosts) for cluster, hosts in known),
        )
        await self._say(welcome, [generation.region.fd])
        await self._hear(PassListenSockets)
        with passing_on(generation) as sockets:
            passed = tuple(Passed(each.listener, str(each.address), each.lent) for each in sockets)
            await self._say(ListenSockets(passed), [each.sock.fileno() for each in sockets])
            drain = await self._hear(DrainListeners)
            await self._part_with_parent()
            removed = [each for i, each in enumerate(sockets) if i not in drain.kept]
            if HAND_OVER in self._features:
                self._offers = await open_hand_over(generation)
            async with giving_way(generation, removed, drain.life):
                await self._tell_draining()
                await self._heeding(self._drain)

    async def _tell_draining(self) -> None:
        draining = Draining(self._generation.connections())
        with ExitStack() as stack:
            offers = [stack.enter_context(end) for end in self._offers]
            await self._say(draining, [end.fileno() for end in offers])
        self.last_words = "died after it had taken over"

    async def _part_with_parent(self) -> None:
        """Have our own parent leave first: no more than two generations serve."""
        if not self._generation.parent.absent:
            await self._say(Wait(LAST_MOMENTS + GRACE))
            await self._heeding(partial(self._generation.parent.dismiss, LAST_MOMENTS))

    async def _drain(self) -> None:
        """Leave when nothing is left; meanwhile tell how far that is."""
        async with trio.open_nursery() as nursery:
            if PROGRESS in self._features:
                nursery.start_soon(self._tell_progress)
            await self._leave_when_empty()

    async def _tell_progress(self) -> None:
        with suppress(PeerGone):  # who hears that ends the session
            while True:
                await self._say(await progress_of(self._generation))
                await trio.sleep(PROGRESS_PAUSE)

    async def _leave_when_empty(self) -> None:
        ending = self._generation.ending
        await self._generation.supervisor.emptied()
        await trio.lowlevel.checkpoint()  # who died in the same turn is heard first
        if not ending.asked.is_set():
            ending.ask("no connection is left", within=0)
        await trio.sleep_forever()

    async def _heeding(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`, and obey Terminate meanwhile; raises what ends the session before."""
        end = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(do_alone, work, nursery.cancel_scope)
            end = await self._heed()
            nursery.cancel_scope.cancel()
        if end is not None:
            raise end

    async def _heed(self) -> Exception:
        """Obey Close and Terminate, as often as is said; returns what makes an end of it."""
        self._patience = inf
        try:
            while True:
                match await self._hear(Close, Terminate):
                    case Close(worker=worker, number=number):
                        await self._generation.supervisor.close(worker, number)
                    case Terminate(seconds=seconds):
                        reason = "the next generation says so"
                        self._generation.ending.ask(reason, within=seconds)
        except (PeerGone, NotNow, BadMessage) as end:
            return end

    async def _hear(self, *kinds: type[Message]) -> Message:
        """Return what the child says next, one of `kinds`; raises NotNow, PeerGone, BadMessage."""
        names = " or ".join(kind.__name__ for kind in kinds)
        with trio.move_on_after(self._patience):
            received = await self._channel.receive()
            close_all(received.fds)
            if isinstance(received.message, GiveUp):
                self.last_words = f"gave up: {received.message.reason}"
                raise PeerGone("it gave up")
            if isinstance(received.message, kinds):
                return received.message
            raise NotNow(f"expected {names}, not {type(received.message).__name__}")
        raise NotNow(f"no {names} came in {self._patience:g} s")

    async def _say(self, message: ToChild, fds: Sequence[int] = ()) -> None:
        """Say something; raises PeerGone where the child does not take it in time."""
        with trio.move_on_after(PATIENCE):
            return await self._channel.send(message, fds)
        raise PeerGone("it does not read what it is told")


async def do_alone(work: Callable[[], Awaitable[None]], others: trio.CancelScope) -> None:
    """Do `work`, then cancel the `others`."""
    await work()
    others.cancel()
