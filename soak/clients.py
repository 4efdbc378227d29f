"""Clients that ask small things: on a new connection each time, or on one that they keep."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NoReturn

import attrs
import trio

from soak.ledger import Kind, Outcome
from soak.origin import SMALL_BODY
from soak.peer import Peer, Silent, Trouble, Wrong
from soak.secure import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from soak.ledger import Ledger
    from soak.messages import Head

PATIENCE = 10.0  # seconds for an exchange
BACK_OFF = 0.05  # seconds before a client that met trouble tries again
LATEST_START = 0.5  # seconds over which those who keep their connections open them
POSTED = b"x" * 200


@attrs.frozen
class Question:
    """A request and the only right answer."""

    request: bytes
    answer: bytes


GET = Question(b"GET /small HTTP/1.1\r\nHost: soak\r\n\r\n", SMALL_BODY)
POST = Question(
    b"POST /echo HTTP/1.1\r\nHost: soak\r\nContent-Length: %d\r\n\r\n%b" % (len(POSTED), POSTED),
    POSTED,
)


async def exchange(peer: Peer, question: Question) -> Head:
    """Ask and check the answer; raises Trouble."""
    with trio.move_on_after(PATIENCE):
        head, body = await peer.ask(question.request)
        if head.status != 200 or body != question.answer:
            raise Wrong(f"{head.status}, {len(body)} bytes: {body[:80]!r}")
        return head
    raise Wrong(f"no answer within {PATIENCE:g} s")


async def patient_connect(port: int) -> Peer:
    """Connect; raises Trouble, also where that takes too long."""
    with trio.move_on_after(PATIENCE):
        return await connect(port)
    raise Wrong(f"no connection within {PATIENCE:g} s")


@attrs.frozen
class NewConnections:
    """A stream of clients, `rate` a second whatever becomes of them, each with one request."""

    port: int
    ledger: Ledger
    rate: float

    async def run(self) -> None:
        """Send one after the other on their way until cancelled."""
        if not self.rate:
            return
        async with trio.open_nursery() as clients:
            began = trio.current_time()
            for number in itertools.count():
                due = began + number / self.rate
                await trio.sleep_until(due)
                self.ledger.lagged(trio.current_time() - due)
                clients.start_soon(self.ask_once)

    async def ask_once(self) -> None:
        """Connect, ask, leave."""
        began = self.ledger.now()
        try:
            with await patient_connect(self.port) as peer:
                await exchange(peer, GET)
        except Trouble as trouble:
            self.ledger.note(Kind.NEW, Outcome.FAILED, str(trouble))
        else:
            self.ledger.answered(Kind.NEW, began)


@attrs.frozen
class KeepAlive:
    """A client that keeps its connection, and pauses between its requests."""

    port: int
    ledger: Ledger
    kind: Kind
    question: Question
    pause: Callable[[], float]

    async def run(self) -> NoReturn:
        """Use one connection after the other, until cancelled."""
        await trio.sleep(self.pause() % LATEST_START)
        while True:
            try:
                with await patient_connect(self.port) as peer:
                    await self.use(peer)
            except Trouble as trouble:
                self.ledger.note(self.kind, Outcome.FAILED, str(trouble))
                await trio.sleep(BACK_OFF)

    async def use(self, peer: Peer) -> None:
        """Ask again and again until the connection is, or is to be, closed.

        An end where an answer should have begun is the race that each keep-alive client knows, but
        not on a new connection: there it raises, as all other Trouble does. Between two requests an
        end that is told, as TLS can, is none that comes without notice.
        """
        for number in itertools.count():
            began = self.ledger.now()
            try:
                head = await exchange(peer, self.question)
            except Silent as ended:
                if not number:
                    raise
                self.ledger.note(self.kind, Outcome.CLOSED, f"request in flight: {ended}")
                return
            self.ledger.answered(self.kind, began)
            if head.close:
                self.ledger.note(self.kind, Outcome.TOLD)
                return
            if await peer.stirs(self.pause()):
                words = f"idle: {await last_words(peer)}"
                self.ledger.note(self.kind, Outcome.TOLD if peer.parted else Outcome.CLOSED, words)
                return


async def last_words(peer: Peer) -> str:
    """What came on a connection on which nothing was asked."""
    try:
        return f"unasked: {(await peer.receive())[:80]!r}"
    except Trouble as ended:
        return str(ended)


def busy(port: int, ledger: Ledger, rng: Random, count: int, rate: float) -> list[KeepAlive]:
    """Clients that ask about `rate` times a second; every other one with POST."""
    return [
        KeepAlive(port, ledger, Kind.BUSY, question, lambda: rng.uniform(0, 2 / rate))
        for question in itertools.islice(itertools.cycle((GET, POST)), count)
    ]


def seldom(
    port: int, ledger: Ledger, rng: Random, kind: Kind, count: int, gap: float
) -> list[KeepAlive]:
    """Clients that pause for `gap` seconds, or down to half of it; every other one with POST."""
    return [
        KeepAlive(port, ledger, kind, question, lambda: rng.uniform(gap / 2, gap))
        for question in itertools.islice(itertools.cycle((GET, POST)), count)
    ]
