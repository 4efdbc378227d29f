"""Valid conversations, damaged at random: understood or refused, in bounded time and memory."""

from __future__ import annotations

import random

from raw_peer import CODEC, POST, TARGET, Peer, data, frame, headers, parse, settings, word

from trioproxy.codec.h1 import Codec as Http1Codec
from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.client import ClientConnection
from trioproxy.codec.h2.events import ConnectionFailed, Event, RequestReceived, ResponseReceived
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
        at = rng.randrange(len(wire) or 1)
        kind = rng.randrange(4)
        if kind == 0:
            wire = wire[:at] + rng.randbytes(1) + wire[at + 1 :]
        elif kind == 1:
            wire = wire[:at] + wire[at + rng.randint(1, 9) :]
        elif kind == 2:
            flipped = [byte ^ 1 << rng.randrange(8) for byte in wire[at : at + 1]]
            wire = wire[:at] + bytes(flipped) + wire[at + 1 :]
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


NAMES = [b":method", b":path", b":scheme", b":authority", b":protocol", b":status", b"host", b"te"]
NAMES += [b"content-length", b"expect", b"cookie", b"x-a", b"connection", b"transfer-encoding"]
VALUES = [b"GET", b"CONNECT", b"OPTIONS", b"/", b"/a?b", b"*", b"http", b"a", b"a:80", b"[::1]:443"]
VALUES += [b"trailers", b"100-continue", b"5", b"0", b"websocket", b"chunked", b"example.org"]
VALUES += [
    b"",
    b" a",
    b"\xff",
    b"\xb2",
    b"\0",
    b"a\r\nb: c",
    b"/ HTTP/1.1\r\n",
    b"9" * 18,
    b"9" * 30,
]


def odd(rng: random.Random) -> list[tuple[bytes, bytes]]:
    """A head that may mean something."""
    fields = list(TARGET)
    for _ in range(rng.choice([0, 1, 1, 2])):
        fields[rng.randrange(len(fields))] = (rng.choice(NAMES), rng.choice(VALUES))
    more = rng.choice([0, 1, 1, 2])
    return fields + [(rng.choice(NAMES), rng.choice(VALUES)) for _ in range(more)]


def test_what_we_accept_goes_on_as_one_request() -> None:
    """By either version: it reads as it was meant, and ends where it should."""
    rng, accepted, http1 = random.Random(4), 0, Http1Codec()
    for _ in range(10_000):
        ended = rng.random() < 0.5
        peer, client = Peer(), ClientConnection(Limits(), CODEC)
        for event in peer.server.receive(headers(1, odd(rng), ended=ended)):
            if not isinstance(event, RequestReceived):
                continue
            accepted += 1
            request = event.request
            client.data_to_send()
            client.send_request(request, ended=ended)
            (again,) = peer.server.receive(renumbered(client, 3))
            assert isinstance(again, RequestReceived)
            assert meaning(again.request) == meaning(request)
            if request.upgrade:
                continue
            head = http1.encode_request(request)
            assert head.index(b"\r\n\r\n") == len(head) - 4
            assert meaning(http1.parse_request(head[:-4])) == meaning(request)
    assert accepted > 500


def renumbered(client: ClientConnection, stream_id: int) -> bytes:
    """What a client says on its first stream, on another one."""
    return b"".join(
        frame(each.kind, each.flags, stream_id, each.payload)
        for each in parse(client.data_to_send())
    )


def meaning(request: Request) -> tuple[object, ...]:
    """What has to be the same, whichever way a request went; HTTP/1.1 tells no scheme."""
    path = "" if request.method == "CONNECT" and not request.upgrade else request.path
    length = None if request.chunked else request.content_length
    flags = (request.te_trailers, request.expect_continue, request.chunked)
    fields = request.headers.fields
    return request.method, path, request.authority, length, flags, fields, request.upgrade


STATUSES = [b"200", b"204", b"304", b"404", b"500", b"103", b"101", b"99", b"2000", b""]


def test_what_we_accept_comes_back_as_one_response() -> None:
    """By either version, too."""
    rng, accepted, http1 = random.Random(5), 0, Http1Codec()
    for _ in range(10_000):
        method, ended = rng.choice(["GET", "HEAD"]), rng.random() < 0.5
        client, peer = ClientConnection(Limits(), CODEC), Peer()
        client.send_request(Request(method=method, authority="a"), ended=True)
        client.data_to_send()
        fields = [(b":status", rng.choice(STATUSES)), *odd(rng)[4:]]
        for event in client.receive(settings() + headers(1, fields, ended=ended)):
            if not isinstance(event, ResponseReceived):
                continue
            accepted += 1
            response = event.response
            head = http1.encode_response(response)
            assert head.index(b"\r\n\r\n") == len(head) - 4
            again = http1.parse_response(head[:-4], method)
            assert (again.status, again.headers.fields) == (
                response.status,
                response.headers.fields,
            )
            if not ended:
                assert again.framing is response.framing
            peer.server.receive(headers(1))
            assert peer.server.send_response(1, response)
    assert accepted > 500
