"""What a server says: responses, trailers, and its two steps towards the end (RFC 9113)."""

from __future__ import annotations

import hpack
import pytest
from raw_peer import POST, TARGET, Peer, data, frame, headers, settings, word

from trioproxy.codec.errors import UnsafeMessage
from trioproxy.codec.h2 import frames
from trioproxy.codec.h2 import settings as names
from trioproxy.codec.h2.events import ErrorCode, Event, RequestReceived, StreamReset
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.messages import Response
from trioproxy.headers import Headers


class Quiet(Peer):
    """A peer that nobody responds to, and that reads blocks."""

    def react(self, event: Event) -> None:
        pass

    def blocks(self) -> list[list[tuple[bytes, bytes]]]:
        oracle = hpack.Decoder()
        return [
            [tuple(field) for field in oracle.decode(each.payload, raw=True)]
            for each in self.heard(frames.HEADERS)
        ]


def last_stream(peer: Peer) -> list[int]:
    return [int.from_bytes(each.payload[:4], "big") for each in peer.heard(frames.GOAWAY)]


def test_a_response_with_all_there_is() -> None:
    peer = Quiet().say(headers(1))
    server = peer.server
    assert server.send_response(1, Response(status=103, headers=Headers([(b"link", b"</a>")])))
    response = Response(status=200, content_length=5, headers=Headers([(b"server", b"x")]))
    assert server.send_response(1, response)
    assert server.send_data(1, b"hello") == 5
    assert server.send_trailers(1, Headers([(b"x-sum", b"1")]))
    peer.listen()
    head = [(b":status", b"200"), (b"content-length", b"5"), (b"server", b"x")]
    assert peer.blocks() == [[(b":status", b"103"), (b"link", b"</a>")], head, [(b"x-sum", b"1")]]
    flags = [each.flags for each in peer.answers if each.stream_id == 1]
    assert flags == [frames.END_HEADERS, frames.END_HEADERS, 0, 5]
    assert server.streams == 0


@pytest.mark.parametrize(
    ("response", "length"),
    [
        (Response(status=200, content_length=5), b"5"),
        (Response(status=200, content_length=5, chunked=True), None),
        (Response(status=204, content_length=0), None),
        (Response(status=304, content_length=7), b"7"),
        (Response(status=299), None),
    ],
)
def test_the_length_of_a_response(response: Response, length: bytes | None) -> None:
    peer = Quiet().say(headers(1))
    assert peer.server.send_response(1, response, ended=True)
    peer.listen()
    assert dict(peer.blocks()[0]).get(b"content-length") == length


UNSAFE = {
    "101 does not exist": Response(status=101),
    "no status": Response(status=1000),
    "a negative length": Response(status=200, content_length=-1),
    "a line end in a value": Response(status=200, headers=Headers([(b"x-a", b"b\r\nc: d")])),
    "upper case": Response(status=200, headers=Headers([(b"X-A", b"b")])),
    "a pseudo-header field": Response(status=200, headers=Headers([(b":status", b"500")])),
    "connection": Response(status=200, headers=Headers([(b"connection", b"close")])),
    "transfer-encoding": Response(status=200, headers=Headers([(b"transfer-encoding", b"x")])),
    "content-length": Response(status=200, headers=Headers([(b"content-length", b"7")])),
}


@pytest.mark.parametrize("response", UNSAFE.values(), ids=UNSAFE)
def test_unsafe_responses_are_not_sent(response: Response) -> None:
    peer = Quiet().say(headers(1))
    with pytest.raises(UnsafeMessage):
        peer.server.send_response(1, response)
    peer.listen()
    assert peer.heard(frames.HEADERS) == []
    assert peer.server.send_response(1, Response(status=500), ended=True)


def test_one_response_is_enough() -> None:
    peer = Quiet().say(headers(1))
    with pytest.raises(UnsafeMessage):
        peer.server.send_response(1, Response(status=100), ended=True)
    assert peer.server.send_response(1, Response(status=200))
    with pytest.raises(UnsafeMessage):
        peer.server.send_response(1, Response(status=500))
    with pytest.raises(UnsafeMessage):
        peer.server.send_trailers(1, Headers([(b"content-length", b"1")]))
    assert peer.server.send_trailers(1, Headers())
    peer.listen()
    assert (peer.answers[-1].kind, peer.answers[-1].flags) == (frames.DATA, frames.END_STREAM)


def test_nothing_is_sent_on_a_stream_that_is_over() -> None:
    peer = Quiet().say(headers(1), frame(frames.RST_STREAM, 0, 1, word(ErrorCode.CANCEL)))
    peer.answers.clear()
    assert not peer.server.send_response(1, Response(status=200))
    assert peer.server.send_data(1, b"a") == -1
    assert not peer.server.send_trailers(1, Headers())
    peer.server.reset(1, ErrorCode.CANCEL)
    peer.server.acknowledge(1, 1)
    peer.listen()
    assert peer.answers == []


def test_long_heads_are_continued() -> None:
    fields = [(b"x-%d" % number, bytes([65 + number]) * 1000) for number in range(40)]
    peer = Quiet().say(headers(1))
    peer.server.send_response(1, Response(status=200, headers=Headers(fields)), ended=True)
    peer.listen()
    (first,) = peer.heard(frames.HEADERS)
    rest = peer.heard(frames.CONTINUATION)
    assert [len(each.payload) for each in (first, *rest)][:2] == [16384, 16384]
    assert (first.flags, [each.flags for each in rest]) == (1, [0, frames.END_HEADERS])
    block = first.payload + b"".join(each.payload for each in rest)
    found = hpack.Decoder(max_header_list_size=10**6).decode(block, raw=True)
    assert [tuple(field) for field in found] == [(b":status", b"200"), *fields]


def test_the_peer_chooses_the_size_of_our_table() -> None:
    """6.5.2: said at the beginning of the next block, the smallest in between too."""
    peer = Quiet().say(*(settings((names.HEADER_TABLE_SIZE, size)) for size in (10, 100)))
    peer.say(headers(1))
    peer.server.send_response(1, Response(status=200), ended=True)
    peer.listen()
    assert peer.heard(frames.HEADERS)[0].payload == b"\x2a\x3f\x45\x88"


def test_an_early_response_leaves_the_request_to_be_reset() -> None:
    """8.1: NO_ERROR says that the response is whole."""
    peer = Quiet().say(headers(1, POST, ended=False))
    assert peer.server.send_response(1, Response(status=413), ended=True)
    assert peer.server.streams == 1
    peer.say(data(1, b"more", ended=False))
    peer.server.reset(1, ErrorCode.NO_ERROR)
    peer.say(data(1, b"even more", ended=False), headers(3))
    assert peer.resets == {1: ErrorCode.NO_ERROR}
    assert (peer.failure, len(peer.of(RequestReceived))) == (None, 2)


def test_goaway_in_two_steps() -> None:
    """A64: GOAWAY(2^31-1), later GOAWAY(last stream); running streams finish."""
    peer = Quiet().say(headers(1))
    peer.server.goaway_notice()
    peer.say(headers(3))
    assert last_stream(peer) == [2**31 - 1]
    peer.server.goaway()
    peer.say(headers(5, POST, ended=False), data(5), headers(7))
    assert last_stream(peer) == [2**31 - 1, 3]
    assert [event.stream_id for event in peer.of(RequestReceived)] == [1, 3]
    for stream_id in (1, 3):
        assert peer.server.streams
        assert peer.server.send_response(stream_id, Response(status=200))
        assert peer.server.send_data(stream_id, b"served", ended=True) == 6
    peer.listen()
    assert (peer.server.streams, peer.served, peer.failure) == (0, [1, 3], None)


def test_blocks_behind_goaway_count_for_the_table() -> None:
    """6.8: or the streams before it could not go on."""
    peer = Quiet().say(headers(1, POST, ended=False))
    peer.server.goaway()
    peer.say(headers(3, TARGET, extra=b"\x40\x03x-a\x01b"), headers(1, [], extra=b"\xbe"))
    assert peer.failure is None
    assert peer.events[-1].trailers.fields == [(b"x-a", b"b")]


def test_goaway_never_takes_back_more() -> None:
    peer = Quiet()
    peer.server.goaway()
    peer.say(headers(1))
    peer.server.goaway(ErrorCode.INTERNAL_ERROR, b"why")
    peer.listen()
    assert last_stream(peer) == [0, 0]
    assert peer.heard(frames.GOAWAY)[-1].payload[4:] == word(2) + b"why"


def test_our_settings() -> None:
    limits = Limits(
        max_concurrent_streams=7,
        stream_window=70_000,
        connection_window=200_000,
        max_frame_size=20_000,
        header_table_size=1000,
        max_header_list_size=9000,
    )
    announced, window = Quiet(limits, greeting=b"").answers
    pairs = [announced.payload[at : at + 6] for at in range(0, len(announced.payload), 6)]
    values = {int.from_bytes(p[:2], "big"): int.from_bytes(p[2:], "big") for p in pairs}
    assert values == {1: 1000, 3: 7, 4: 70_000, 5: 20_000, 6: 9000, 8: 1}
    assert (window.stream_id, window.payload) == (0, word(200_000 - 65_535))


def test_settled_once_they_are_acknowledged() -> None:
    peer = Quiet()
    assert not peer.server.settled
    assert peer.say(frame(frames.SETTINGS, frames.ACK, 0)).server.settled


def test_ping() -> None:
    peer = Quiet()
    peer.server.ping(b"12345678")
    peer.listen()
    assert peer.heard(frames.PING)[0].payload == b"12345678"
    with pytest.raises(ValueError, match="8 bytes"):
        peer.server.ping(b"1234567")


def test_a_reset_by_the_peer_is_told_with_its_code() -> None:
    peer = Quiet().say(headers(1), frame(frames.RST_STREAM, 0, 1, word(ErrorCode.CANCEL)))
    (reset,) = peer.of(StreamReset)
    assert isinstance(reset, StreamReset)
    assert (reset.code, reset.by_peer) == (ErrorCode.CANCEL, True)
