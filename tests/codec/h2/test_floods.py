"""What a hostile peer can do is bounded, and said by the limit's name."""

from __future__ import annotations

import pytest
from raw_peer import POST, TARGET, Peer, block, data, frame, headers, literal, settings, word

from trioproxy.codec.h2 import frames
from trioproxy.codec.h2.events import (
    ConnectionFailed,
    ErrorCode,
    Event,
    RequestReceived,
    RequestRejected,
)
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.messages import Response

LIMITS = Limits(
    max_resets=10,
    max_ping_frames=10,
    max_settings_frames=10,
    max_empty_frames=10,
    max_idle_frames=10,
    max_window_update_frames=10,
    max_concurrent_streams=5,
    max_continuation_frames=10,
)


class Quiet(Peer):
    """A peer that nobody responds to."""

    def react(self, event: Event) -> None:
        pass


def rapid_reset(number: int) -> bytes:
    stream_id = 2 * number + 3
    return headers(stream_id) + frame(frames.RST_STREAM, 0, stream_id, word(ErrorCode.CANCEL))


def made_you_reset(number: int) -> bytes:
    """The server resets, for an error of its peer's making: the work is begun all the same."""
    stream_id = 2 * number + 3
    return headers(stream_id, POST, ended=False) + headers(stream_id, [], ended=False)


def late_data(number: int) -> bytes:
    return headers(2 * number + 3) + data(2 * number + 3)


FLOODS = {
    "rapid reset": ("max_resets", rapid_reset),
    "resets by error": ("max_resets", made_you_reset),
    "malformed requests": ("max_resets", lambda number: headers(2 * number + 3, [(b"a", b"b")])),
    "refused streams": ("max_resets", lambda number: headers(2 * number + 3, POST, ended=False)),
    "DATA behind the end": ("max_resets", late_data),
    "PING": ("max_ping_frames", lambda _: frame(frames.PING, 0, 0, bytes(8))),
    "PING ACK": ("max_ping_frames", lambda _: frame(frames.PING, frames.ACK, 0, bytes(8))),
    "GOAWAY": ("max_idle_frames", lambda _: frame(frames.GOAWAY, 0, 0, bytes(8))),
    "SETTINGS ACK": ("max_settings_frames", lambda _: frame(frames.SETTINGS, frames.ACK, 0)),
    "SETTINGS": ("max_settings_frames", lambda _: settings()),
    "empty DATA": ("max_empty_frames", lambda _: data(1, b"", ended=False)),
    "padding": ("max_empty_frames", lambda _: frame(0, 8, 1, b"\x05" + bytes(5))),
    "PRIORITY": ("max_idle_frames", lambda _: frame(frames.PRIORITY, 0, 1, bytes(5))),
    "unknown frames": ("max_idle_frames", lambda _: frame(0x77, 0, 1)),
    "WINDOW_UPDATE": ("max_window_update_frames", lambda _: frame(8, 0, 1, word(1))),
}


@pytest.mark.parametrize(("limit", "flood"), FLOODS.values(), ids=FLOODS)
def test_floods_end_the_connection(limit: str, flood: object) -> None:
    assert callable(flood)
    peer = Quiet(LIMITS).say(headers(1, POST, ended=False))
    number = 0
    while not peer.server.failed and number < 30:
        peer.say(flood(number))
        number += 1
    assert peer.failure is ErrorCode.ENHANCE_YOUR_CALM
    assert 8 < number < 30
    (failed,) = peer.of(ConnectionFailed)
    assert isinstance(failed, ConnectionFailed)
    assert failed.limit == limit


@pytest.mark.parametrize(("limit", "flood"), FLOODS.values(), ids=FLOODS)
def test_who_takes_time_floods_nothing(limit: str, flood: object) -> None:
    assert callable(flood)
    assert limit
    peer = Quiet(LIMITS).say(headers(1, POST, ended=False))
    for number in range(30):
        peer.server.relax()
        peer.say(flood(number))
        if peer.resets.get(1):
            break
    assert peer.failure is None


@pytest.mark.parametrize(("payload", "floods"), [(b"x", False), (b"", True)])
def test_what_comes_late_to_a_stream_that_was_reset(payload: bytes, floods: bool) -> None:
    """What the windows bound is no flood: the peer need not know of the reset yet."""
    peer = Quiet(LIMITS).say(headers(1, POST, ended=False))
    peer.server.reset(1, ErrorCode.CANCEL)
    for _ in range(30):
        peer.say(data(1, payload, ended=False))
    assert (peer.failure is not None) == floods


def test_window_updates_may_follow_data() -> None:
    peer = Quiet(LIMITS).say(headers(1))
    peer.server.send_response(1, Response(status=200))
    for _ in range(100):
        assert peer.server.send_data(1, b"x") == 1
        peer.say(*[frame(8, 0, stream_id, word(1)) for stream_id in (0, 1)])
    assert peer.failure is None


def test_reset_streams_leave_nothing_behind() -> None:
    peer = Quiet()
    for number in range(2000):
        peer.say(rapid_reset(number))
        peer.server.relax()
    assert (peer.failure, peer.server.streams) == (None, 0)


@pytest.mark.parametrize("piece", [b"", literal(b"x-a", b"b")])
def test_continuation_flood(piece: bytes) -> None:
    peer = Quiet(LIMITS).say(frame(frames.HEADERS, frames.END_STREAM, 1, block(TARGET)))
    for _ in range(20):
        peer.say(frame(frames.CONTINUATION, 0, 1, piece))
    assert peer.failure is ErrorCode.ENHANCE_YOUR_CALM
    (failed,) = peer.of(ConnectionFailed)
    assert isinstance(failed, ConnectionFailed)
    assert failed.limit == "max_continuation_frames"
    assert not peer.of(RequestReceived)


def test_a_block_too_long() -> None:
    peer = Quiet(Limits(max_header_block_size=20_000)).say(frame(1, 1, 1, bytes(16_000)))
    peer.say(frame(frames.CONTINUATION, 4, 1, bytes(16_000)))
    (failed,) = peer.of(ConnectionFailed)
    assert isinstance(failed, ConnectionFailed)
    assert (failed.code, failed.limit) == (ErrorCode.ENHANCE_YOUR_CALM, "max_header_block_size")


def rejected(peer: Peer) -> list[tuple[int, int]]:
    return [(e.stream_id, e.status) for e in peer.events if isinstance(e, RequestRejected)]


def test_a_header_list_too_large_is_answered() -> None:
    peer = Peer(Limits(max_header_list_size=1000))
    peer.say(headers(1, [*TARGET, (b"x-a", bytes(1000))]), headers(3))
    assert rejected(peer) == [(1, 431)]
    assert (peer.failure, peer.resets, peer.served) == (None, {}, [3])
    assert b"431" in peer.heard(frames.HEADERS, 1)[0].payload


def test_too_many_fields_are_answered() -> None:
    peer = Peer(Limits(max_header_fields=50))
    peer.say(headers(1, TARGET + [(b"a", b"")] * 46), headers(3, TARGET + [(b"a", b"")] * 47))
    assert peer.served == [1]
    assert rejected(peer) == [(3, 431)]


BOMB = b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000  # each byte 0xbe behind it stands for it once more


def test_a_bomb_ends_the_connection() -> None:
    peer = Peer().say(headers(1, TARGET, extra=BOMB + b"\xbe" * 10_000))
    (failed,) = peer.of(ConnectionFailed)
    assert isinstance(failed, ConnectionFailed)
    assert (failed.code, failed.limit) == (ErrorCode.ENHANCE_YOUR_CALM, "max_header_list_size")


def test_what_may_be_no_bomb_is_not_unpacked_and_leaves_the_table_right() -> None:
    peer = Peer().say(headers(1, TARGET, extra=BOMB + b"\xbe" * 50 + b"\x40\x01b\x01c"))
    assert rejected(peer) == [(1, 431)]
    peer.say(headers(3, TARGET, extra=b"\xbe"))
    (event,) = peer.of(RequestReceived)
    assert isinstance(event, RequestReceived)
    assert event.request.headers.fields == [(b"b", b"c")]


def test_trailers_too_large() -> None:
    peer = Peer(Limits(max_header_list_size=1000)).say(headers(1, POST, ended=False))
    peer.say(headers(1, [(b"x-a", bytes(1000))]))
    assert peer.resets == {1: ErrorCode.ENHANCE_YOUR_CALM}
