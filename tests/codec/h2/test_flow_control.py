"""Flow control both ways (RFC 9113 sections 5.2 and 6.9)."""

from __future__ import annotations

import pytest
from raw_peer import POST, Peer, data, frame, headers, settings, word

from trioproxy.codec.h2 import frames
from trioproxy.codec.h2 import settings as names
from trioproxy.codec.h2.events import DataReceived, ErrorCode, Event, WindowOpened
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.messages import Response

WINDOW = names.INITIAL_WINDOW_SIZE
ACK = frame(frames.SETTINGS, frames.ACK, 0)


def opened(events: list[Event]) -> list[int]:
    return [event.stream_id for event in events if isinstance(event, WindowOpened)]


def widen(stream_id: int, increment: int) -> bytes:
    return frame(frames.WINDOW_UPDATE, 0, stream_id, word(increment))


def payloads(peer: Peer, stream_id: int = 1) -> list[bytes]:
    return [each.payload for each in peer.heard(frames.DATA, stream_id)]


class Downloads(Peer):
    """A peer whose streams are responded to by hand."""

    def react(self, event: Event) -> None:
        pass

    def open(self, *stream_ids: int) -> None:
        for stream_id in stream_ids:
            self.say(headers(stream_id))
            self.server.send_response(stream_id, Response(status=200))

    def send(self, stream_id: int, size: int, *, ended: bool = False) -> int:
        taken = self.server.send_data(stream_id, bytes(size), ended=ended)
        self.listen()
        return taken


def test_a_body_waits_for_room_on_its_stream() -> None:
    peer = Downloads().say(settings((WINDOW, 3)))
    peer.open(1)
    assert peer.server.send_data(1, b"hello", ended=True) == 3
    assert peer.server.send_data(1, b"lo", ended=True) == 0
    assert opened(peer.server.receive(widen(1, 10))) == [1]
    assert peer.server.send_data(1, b"lo", ended=True) == 2
    peer.listen()
    assert payloads(peer) == [b"hel", b"lo"]
    assert [each.flags for each in peer.heard(frames.DATA)] == [0, frames.END_STREAM]
    assert peer.server.send_data(1, b"more") == -1


def test_settings_change_the_windows_of_streams_that_run() -> None:
    """6.9.2, of h2spec too: up, and down until they are negative."""
    peer = Downloads().say(settings((WINDOW, 3)))
    peer.open(1)
    assert peer.send(1, 5) == 3
    assert opened(peer.server.receive(settings((WINDOW, 1)))) == []
    assert peer.send(1, 5) == 0
    assert opened(peer.server.receive(settings((WINDOW, 3)))) == []
    assert opened(peer.server.receive(widen(1, 2))) == [1]
    assert opened(peer.server.receive(settings((WINDOW, 4)))) == [1]
    assert peer.send(1, 5) == 3


def test_the_end_needs_no_room() -> None:
    peer = Downloads().say(settings((WINDOW, 0)))
    peer.open(1, 3)
    assert peer.send(1, 0, ended=True) == 0
    assert peer.server.streams == 1
    assert peer.send(3, 1, ended=True) == 0
    assert peer.server.streams == 1


def test_streams_share_the_connection_in_turn() -> None:
    """Whoever has waited longest goes first; whoever got some goes behind the others."""
    peer = Downloads().say(settings((WINDOW, 1_000_000)))
    peer.open(1, 3, 5)
    assert peer.send(1, 65_535) == 65_535
    assert [peer.send(stream_id, 100) for stream_id in (1, 3, 5)] == [0, 0, 0]
    order = []
    for _ in range(6):
        ids = opened(peer.server.receive(widen(0, 60)))
        order.append(ids[0])
        assert [peer.send(stream_id, 100) for stream_id in ids] == [60, 0, 0]
    assert order == [1, 3, 5, 1, 3, 5]


def test_a_stream_that_is_over_waits_no_more() -> None:
    peer = Downloads().say(settings((WINDOW, 0)))
    peer.open(1, 3)
    assert (peer.send(1, 1), peer.send(3, 1)) == (0, 0)
    peer.server.reset(1, ErrorCode.CANCEL)
    assert opened(peer.server.receive(settings((WINDOW, 10)))) == [3]
    assert peer.send(3, 1) == 1
    assert opened(peer.server.receive(settings((WINDOW, 20)))) == []


@pytest.mark.parametrize("limit", [16_384, 30_000, 1_000_000])
def test_long_bodies_are_cut_to_frames(limit: int) -> None:
    peer = Downloads().say(settings((names.MAX_FRAME_SIZE, limit), (WINDOW, 1_000_000)))
    peer.say(widen(0, 1_000_000))
    peer.open(1)
    assert peer.send(1, 100_000, ended=True) == 100_000
    sizes = [len(payload) for payload in payloads(peer)]
    assert sizes == [limit] * (100_000 // limit) + [100_000 % limit]
    assert peer.heard(frames.DATA)[-1].flags == frames.END_STREAM


def test_the_peer_may_send_more_as_bodies_are_consumed() -> None:
    """Without `acknowledge` nothing is given back; with it, stream and connection are."""
    limits = Limits(stream_window=100_000, connection_window=100_000)
    peer = Downloads(limits).say(ACK, headers(1, POST, ended=False))
    for _ in range(6):
        peer.say(data(1, bytes(16_000), ended=False))
    assert peer.heard(frames.WINDOW_UPDATE) == peer.heard(frames.WINDOW_UPDATE, 0)[:1]
    peer.answers.clear()
    for _ in range(6):
        peer.server.acknowledge(1, 16_000)
    peer.listen()
    for stream_id in (0, 1):
        (update,) = peer.heard(frames.WINDOW_UPDATE, stream_id)
        assert update.payload == word(64_000)
    peer.say(data(1, bytes(16_000), ended=False) * 4)
    assert (peer.failure, peer.resets) == (None, {})
    peer.say(data(1, bytes(16_000), ended=False))
    assert peer.failure is ErrorCode.FLOW_CONTROL_ERROR


def test_the_connection_has_a_window_of_its_own() -> None:
    limits = Limits(stream_window=100_000, connection_window=65_535)
    peer = Downloads(limits).say(ACK, headers(1, POST, ended=False))
    peer.say(data(1, bytes(16_384), ended=False) * 4)
    assert peer.failure is ErrorCode.FLOW_CONTROL_ERROR


def test_what_is_not_consumed_is_given_back_at_the_end() -> None:
    """By whichever end: nothing leaks, and late acknowledgements count no second time."""
    peer = Downloads(Limits(connection_window=65_535))
    for number in range(100):
        stream_id = 2 * number + 1
        peer.say(headers(stream_id, POST, ended=False), data(stream_id, bytes(9_000), ended=False))
        if number % 3 == 0:
            peer.server.reset(stream_id, ErrorCode.CANCEL)
        elif number % 3 == 1:
            peer.say(frame(frames.RST_STREAM, 0, stream_id, word(ErrorCode.CANCEL)))
        else:
            peer.say(data(stream_id, b""))
            peer.server.send_response(stream_id, Response(status=200), ended=True)
        peer.server.acknowledge(stream_id, 9_000)
        peer.listen()
    assert peer.failure is None
    given = [int.from_bytes(each.payload, "big") for each in peer.heard(frames.WINDOW_UPDATE, 0)]
    assert 900_000 - 65_535 <= sum(given) <= 900_000


def test_bodies_nobody_receives_are_given_back_too() -> None:
    """DATA behind a reset counts for the connection (section 5.1, closed)."""
    peer = Downloads(Limits(connection_window=65_535)).say(headers(1, POST, ended=False))
    peer.server.reset(1, ErrorCode.CANCEL)
    for _ in range(20):
        peer.say(data(1, bytes(16_000), ended=False))
    assert peer.failure is None
    assert not peer.of(DataReceived)


def test_a_narrow_window_holds_once_it_is_acknowledged() -> None:
    """6.5.3: the peer cannot know it any sooner."""
    peer = Downloads(Limits(stream_window=10)).say(headers(1, POST, ended=False))
    peer.say(data(1, bytes(100), ended=False))
    assert peer.resets == {}
    peer.say(ACK, data(1, bytes(1), ended=False))
    assert peer.resets == {1: ErrorCode.FLOW_CONTROL_ERROR}
    peer.say(headers(3, POST, ended=False), data(3, bytes(11), ended=False))
    assert peer.resets[3] == ErrorCode.FLOW_CONTROL_ERROR
    peer.say(headers(5, POST, ended=False), data(5, bytes(10), ended=False))
    assert 5 not in peer.resets


def test_an_end_needs_no_room_where_the_window_has_become_negative() -> None:
    """6.9.1"""
    peer = Downloads(Limits(stream_window=10)).say(headers(1, POST, ended=False))
    peer.say(data(1, bytes(100), ended=False), ACK, data(1, b""))
    assert peer.resets == {}
    assert peer.of(DataReceived)[-1].ended  # type: ignore[attr-defined]


def test_little_that_is_owed_is_given_back_as_the_window_narrows() -> None:
    """Else both sides would wait for ever: it was too little for the window as it was."""
    peer = Downloads(Limits(stream_window=1000)).say(headers(1, POST, ended=False))
    peer.say(data(1, bytes(16_000), ended=False) * 4 + data(1, bytes(1535), ended=False))
    for count in (33_000, 32_535):
        peer.server.acknowledge(1, count)
    peer.say(ACK)
    given = [int.from_bytes(each.payload, "big") for each in peer.heard(frames.WINDOW_UPDATE, 1)]
    assert given == [33_000, 32_535]
