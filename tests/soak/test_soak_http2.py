"""What a client of HTTP/2 counts as lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lossy import listening

from soak.clients import POSTED
from soak.http2 import STREAMS, Conversation
from soak.ledger import Kind, Outcome
from soak.origin import SMALL_BODY
from soak.peer import Trouble
from soak.secure import connect
from trioproxy.codec.h2 import events
from trioproxy.codec.h2.codec import Codec
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.h2.server import ServerConnection
from trioproxy.codec.messages import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from soak.ledger import Ledger
    from soak.peer import Peer

    Server = Callable[[ServerConnection, int, bytes], None]


def right(codec: ServerConnection, number: int, body: bytes) -> None:
    codec.send_response(number, Response(status=200))
    codec.send_data(number, body, ended=True)


def wrong(codec: ServerConnection, number: int, _body: bytes) -> None:
    right(codec, number, b"something else")


def reset(codec: ServerConnection, number: int, _body: bytes) -> None:
    codec.reset(number, 2)


def last(codec: ServerConnection, number: int, body: bytes) -> None:
    right(codec, number, body)
    codec.goaway_notice()


async def use(ledger: Ledger, answer: Server) -> str:
    """Have a client talk to a server that closes once it has answered; returns its trouble."""

    async def handle(peer: Peer) -> None:
        codec = ServerConnection(Limits(), Codec())
        answered = 0
        while answered < STREAMS:
            for event in codec.receive(await peer.receive()):
                post = isinstance(event, events.DataReceived) and event.ended
                if post or (isinstance(event, events.RequestReceived) and event.ended):
                    answer(codec, event.stream_id, POSTED if post else SMALL_BODY)
                    answered += 1
            await peer.send_all(codec.data_to_send())

    async with listening(handle) as port:
        with await connect(port) as peer:
            try:
                await Conversation(peer, ledger).go_on(lambda: 60.0)
            except Trouble as trouble:
                return str(trouble)
    return ""


async def test_right_answers_are_counted_and_an_end_without_notice(ledger: Ledger) -> None:
    await use(ledger, right)
    assert ledger.counts == {
        (Kind.HTTP2, Outcome.ANSWERED): STREAMS,
        (Kind.HTTP2, Outcome.CLOSED): 1,
    }


async def test_goaway_is_a_notice(ledger: Ledger) -> None:
    await use(ledger, last)
    assert ledger.counts == {
        (Kind.HTTP2, Outcome.ANSWERED): STREAMS,
        (Kind.HTTP2, Outcome.TOLD): 1,
    }


@pytest.mark.parametrize(("answer", "why"), [(wrong, "something else"), (reset, "reset: 2")])
async def test_a_wrong_answer_and_a_reset_are_losses(
    ledger: Ledger, answer: Server, why: str
) -> None:
    assert why in await use(ledger, answer)
