"""Clients of HTTP/2: each asks several things at a time on the connection that it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import attrs
import trio

from soak.clients import BACK_OFF, LATEST_START, PATIENCE, POSTED, patient_connect
from soak.ledger import Kind, Outcome
from soak.origin import SMALL_BODY
from soak.peer import Ended, Trouble, Wrong
from trioproxy.codec.h2 import events
from trioproxy.codec.h2.client import ClientConnection
from trioproxy.codec.h2.codec import Codec
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.messages import Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from soak.ledger import Ledger
    from soak.peer import Peer

STREAMS = 4


@attrs.define
class Answer:
    """What has come on a stream, and the only right body."""

    right: bytes
    status: int = 0
    body: bytes = b""
    ended: bool = False


@attrs.frozen
class Client:
    """One client; every other question is a POST, which it may not send again by itself."""

    port: int
    ledger: Ledger
    pause: Callable[[], float]

    async def run(self) -> NoReturn:
        """Use one connection after the other, until cancelled."""
        await trio.sleep(self.pause() % LATEST_START)
        while True:
            try:
                with await patient_connect(self.port) as peer:
                    await Conversation(peer, self.ledger).go_on(self.pause)
            except Trouble as trouble:
                self.ledger.note(Kind.HTTP2, Outcome.FAILED, str(trouble))
                await trio.sleep(BACK_OFF)


class Conversation:
    """All that is asked on one connection."""

    def __init__(self, peer: Peer, ledger: Ledger) -> None:
        self._peer = peer
        self._ledger = ledger
        self._codec = ClientConnection(Limits(), Codec())
        self._answers: dict[int, Answer] = {}

    async def go_on(self, pause: Callable[[], float]) -> None:
        """Ask again and again until the connection is, or is to be, closed; raises Trouble."""
        while True:
            await self._ask()
            if self._codec.goaway_received:
                self._ledger.note(Kind.HTTP2, Outcome.TOLD)
                return
            if await self._peer.stirs(pause()):
                try:
                    await self._hear()
                except Ended as ended:
                    self._ledger.note(Kind.HTTP2, Outcome.CLOSED, f"idle: {ended}")
                    return

    async def _ask(self) -> None:
        """Ask everything, if the other end lets us, and check all answers."""
        began = self._ledger.now()
        while self._codec.can_open and len(self._answers) < STREAMS:
            self._open(post=bool(len(self._answers) % 2))
        with trio.move_on_after(PATIENCE) as patience:
            await self._peer.send_all(self._codec.data_to_send())
            while not all(answer.ended for answer in self._answers.values()):
                await self._hear()
        if patience.cancelled_caught:
            raise Wrong(f"no answer within {PATIENCE:g} s")
        for answer in self._answers.values():
            if answer.status != 200 or answer.body != answer.right:
                raise Wrong(f"{answer.status}, {len(answer.body)} bytes: {answer.body[:80]!r}")
            self._ledger.answered(Kind.HTTP2, began)
        self._answers.clear()

    def _open(self, *, post: bool) -> None:
        if post:
            request = Request(method="POST", path="/echo", authority="soak")
            request.content_length = len(POSTED)
        else:
            request = Request(path="/small", authority="soak")
        number = self._codec.send_request(request, ended=not post)
        if post:
            self._codec.send_data(number, POSTED, ended=True)
        self._answers[number] = Answer(POSTED if post else SMALL_BODY)

    async def _hear(self) -> None:
        for event in self._codec.receive(await self._peer.receive()):
            self._note(event)
        await self._peer.send_all(self._codec.data_to_send())

    def _note(self, event: events.Event) -> None:
        """Take note of what came; raises Wrong."""
        answer = self._answers.get(event.stream_id)
        match event:
            case events.ResponseReceived() if answer:
                answer.status, answer.ended = event.response.status, event.ended
            case events.DataReceived() if answer:
                answer.body += event.data
                answer.ended = event.ended
                self._codec.acknowledge(event.stream_id, len(event.data))
            case events.StreamReset() if answer:
                raise Wrong(f"reset: {event.code}, {event.detail}")
            case events.ConnectionFailed():
                raise Wrong(f"protocol: {event.detail}")


def clients(port: int, ledger: Ledger, rng: Random, count: int, rate: float) -> list[Client]:
    """Clients that ask about `rate` times a second, STREAMS things each time."""
    return [Client(port, ledger, lambda: rng.uniform(0, 2 / rate)) for _ in range(count)]
