"""Conversations with hyper-h2, and among ourselves: what one side says the other one hears."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from h2_sides import Hyper, Message, hyper, our_client, our_server
from hypothesis import given, settings
from hypothesis import strategies as st

from trioproxy.headers import Field

if TYPE_CHECKING:
    from collections.abc import Callable

    from h2_sides import Side

names = st.sampled_from([b"x-a", b"x-b", b"accept", b"x-token", b"etag", b"x-request-id"])
values = st.text("ab /;=", max_size=30).map(lambda text: text.strip().encode())
fields = st.lists(st.tuples(names, values), max_size=8)
sizes = st.sampled_from([0, 0, 1, 100, 5000, 70_000])
trailers = st.lists(st.tuples(st.sampled_from([b"x-sum", b"x-z"]), values), max_size=2)
paths = st.text("abc/%?=", max_size=20).map(lambda text: "/" + text)
statuses = st.sampled_from(["200", "404", "500", "299"])
requests = st.tuples(paths, fields, sizes, trailers)
responses = st.tuples(statuses, fields, sizes, trailers)
exchanges = st.lists(st.tuples(requests, responses), min_size=1, max_size=8)
windows = st.sampled_from([1000, 65_535, 1_000_000])

PAIRS = {
    "hyper-h2 to us": (lambda window: hyper(window, client=True), our_server),
    "us to hyper-h2": (our_client, lambda window: hyper(window, client=False)),
    "us to us": (our_client, our_server),
}


Spoken = tuple[str, list[Field], int, list[Field]]


def message(spoken: Spoken) -> Message:
    start, sent, size, behind = spoken
    return Message(start, sent, bytes(size), behind)


def carry(source: Side, sink: Side, rng: random.Random) -> bool:
    """Carry what there is in pieces of any size; returns whether there was anything."""
    data = source.take()
    moved = bool(data)
    while data:
        size = rng.choice([1 if len(data) < 100 else 1000, 30, 3000, 100_000])
        sink.receive(data[:size])
        data = data[size:]
    return moved


def talk(
    client: Side, server: Side, asked: list[tuple[Message, Message]], rng: random.Random
) -> None:
    """Run the exchanges, each begun when chance has it, until nobody has anything to say."""
    waiting = {2 * number + 1: exchange for number, exchange in enumerate(asked)}
    unanswered = dict(waiting)
    moved = True
    while moved or waiting:
        if waiting and (rng.random() < 0.5 or not moved):
            stream_id = next(iter(waiting))
            client.begin(stream_id, waiting.pop(stream_id)[0])
        client.push()
        server.push()
        moved = carry(client, server, rng)
        for stream_id, heard in server.received.items():
            if heard.ended and stream_id in unanswered:
                server.begin(stream_id, unanswered.pop(stream_id)[1])
        server.push()
        moved |= carry(server, client, rng)


@pytest.mark.parametrize(("make_client", "make_server"), PAIRS.values(), ids=PAIRS)
@settings(max_examples=50, deadline=None)
@given(exchanges, windows, windows, st.integers(0, 10**6))
def test_conversations(
    make_client: Callable[[int], Side],
    make_server: Callable[[int], Side],
    spoken: list[tuple[Spoken, Spoken]],
    client_window: int,
    server_window: int,
    seed: int,
) -> None:
    asked = [(message(request), message(response)) for request, response in spoken]
    client, server = make_client(client_window), make_server(server_window)
    rng = random.Random(seed)
    if isinstance(server, Hyper):  # it enforces a window before its peer can know of it
        assert carry(server, client, rng)
        assert carry(client, server, rng)
    talk(client, server, asked, rng)
    for number, (request, response) in enumerate(asked):
        request.ended = response.ended = True
        assert server.received[2 * number + 1] == request
        assert client.received[2 * number + 1] == response
