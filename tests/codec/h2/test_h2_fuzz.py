"""Valid conversations, damaged at random: understood or refused, in bounded time and memory."""

from __future__ import annotations

import random

from raw_peer import CODEC, POST, TARGET, Peer, data, frame, headers, parse, settings, word

from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.client import ClientConnection
from trioproxy.codec.h2.events import ConnectionFailed, Event
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.messages import Request

SETUP = [settings((4, 100)), frame(frames.SETTINGS, 1, 0), frame(frames.PING, 0, 0, bytes(8))]
REQUESTS = [
    headers(1, TARGET, extra=b"\x40\x03x-a\x01b\xbe"),
    headers(3, POST, ended=False),
    data(3, b"some", ended=False),
    frame(frames.DATA, 9, 3, b"\x03body\0\0\0"),
    headers(5, [*POST, (b"content-length", b"4")], ended=False),
    data(5),
    headers(7, POST, ended=False),
    headers(7, [(b"x-sum", b"1")]),
    frame(frames.HEADERS, 1, 9, b"\x82\x86\x84"),
    frame(frames.CONTINUATION, 4, 9, b"\x41\x01a"),
    frame(frames.RST_STREAM, 0, 3, word(8)),
    frame(frames.WINDOW_UPDATE, 0, 0, word(1000)),
    frame(frames.WINDOW_UPDATE, 0, 1, word(1000)),
    frame(frames.PRIORITY, 0, 1, bytes(5)),
    frame(frames.GOAWAY, 0, 0, word(5) + word(0)),
]
RESPONSES = [
    headers(1, [(b":status", b"100")], ended=False),
    headers(1, [(b":status", b"200"), (b"content-length", b"4")], ended=False),
    data(1),
    headers(3, [(b":status", b"304")]),
    headers(5, [(b":status", b"200")], ended=False),
    headers(5, [(b"x-sum", b"1")]),
    *REQUESTS[-5:],
]


def damaged(wire: bytes, rng: random.Random) -> bytes:
    """Other bytes, fewer, or the same ones twice; where they frame most of all."""
    for _ in range(rng.choice([0, 1, 1, 2])):
        at = rng.randrange(len(wire))
        kind = rng.randrange(4)
        if kind == 0:
            wire = wire[:at] + rng.randbytes(1) + wire[at + 1 :]
        elif kind == 1:
            wire = wire[:at] + wire[at + rng.randint(1, 9) :]
        elif kind == 2:
            wire = wire[:at] + bytes([wire[at] ^ 1 << rng.randrange(8)]) + wire[at + 1 :]
        else:
            wire = wire[:at] + wire[max(0, at - 9) :]
    return wire


def check(events: list[Event], *, failed: bool) -> None:
    """A failure is the last event, and there is one if and only if it failed."""
    failures = [event for event in events if isinstance(event, ConnectionFailed)]
    assert failures == (events[-1:] if failed else [])


def test_damaged_requests() -> None:
    rng, failed = random.Random(1), 0
    for _ in range(2000):
        peer = Peer()
        said = [rng.choice(SETUP + REQUESTS) for _ in range(rng.randint(1, 12))]
        for piece in (damaged(piece, rng) if rng.random() < 0.3 else piece for piece in said):
            peer.say(piece)
        check(peer.events, failed=peer.server.failed)
        failed += peer.server.failed
        assert peer.server.streams <= 12
        assert len(peer.answers) < 80
    assert 200 < failed < 1900


def test_damaged_responses() -> None:
    rng, failed = random.Random(2), 0
    for _ in range(2000):
        client, events = ClientConnection(Limits(), CODEC), list[Event]()
        assert parse(client.data_to_send().removeprefix(frames.PREFACE))
        for number in range(3):
            client.send_request(Request(authority="a"), ended=number < 2)
        said = [settings(), *(rng.choice(SETUP + RESPONSES) for _ in range(rng.randint(1, 12)))]
        for piece in (damaged(piece, rng) if rng.random() < 0.3 else piece for piece in said):
            events += client.receive(piece)
        parse(client.data_to_send())
        check(events, failed=client.failed)
        failed += client.failed
        assert client.streams <= 3
    assert 200 < failed < 1900


def test_noise() -> None:
    """Frames whose heads are right and whose payloads are anything."""
    rng = random.Random(3)
    for _ in range(2000):
        peer = Peer()
        for _ in range(10):
            kind, flags = rng.randrange(11), rng.randrange(256)
            payload = rng.randbytes(rng.choice([0, 1, 4, 5, 6, 8, 30]))
            peer.say(frame(kind, flags, rng.choice([0, 1, 2, 3]), payload))
        check(peer.events, failed=peer.server.failed)


def test_what_is_unfinished_is_not_kept_beyond_a_frame() -> None:
    """Whatever the length that it claims: it is refused by its head, or fits a frame."""
    peer = Peer()
    peer.say(b"\xff\xff\xff\0\0\0\0\0\1")
    assert peer.server.failed
    peer = Peer()
    for _ in range(16_000):
        peer.server.receive(b"\0")
    assert len(peer.server._pending) <= 9 + 16_384
