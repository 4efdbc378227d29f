"""The small codecs of clients and origin: heads, bodies, frames, the pattern."""

from __future__ import annotations

import pytest

from soak.frames import ACCEPT, KEY, Frames, Opcode, frame, mask
from soak.messages import LARGEST_HEAD, Chunked, Malformed, Sized, body_of, chunk, split_head
from soak.pattern import PERIOD, Track, stretch

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Close\r\n\r\n"


def test_a_head_is_read_once_it_is_complete() -> None:
    assert split_head(HEAD[:-1]) is None
    head, rest = split_head(HEAD + b"hel") or pytest.fail("no head")
    assert (head.status, head.length, head.close, head.chunked) == (200, 5, True, False)
    assert rest == b"hel"


@pytest.mark.parametrize("data", [b"x\r\n\r\n", b"A B C\r\nContent-Length: x\r\n\r\n"])
def test_nonsense_is_no_head(data: bytes) -> None:
    with pytest.raises(Malformed):
        split_head(data)


def test_a_head_has_an_end() -> None:
    with pytest.raises(Malformed):
        split_head(b"x" * (LARGEST_HEAD + 1))


def test_a_sized_body_is_as_long_as_it_was_said_to_be() -> None:
    body = Sized(5)
    assert body.feed(b"hel") == b"hel"
    assert not body.done
    assert body.feed(b"lo") == b"lo"
    assert body.done
    with pytest.raises(Malformed):
        body.feed(b"x")


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_chunks_are_read_however_they_arrive(size: int) -> None:
    data = chunk(b"hello, ") + chunk(b"world" * 9) + chunk(b"")
    body, payload = Chunked(), b""
    for start in range(0, len(data), size):
        assert not body.done
        payload += body.feed(data[start : start + size])
    assert body.done
    assert payload == b"hello, " + b"world" * 9


@pytest.mark.parametrize("data", [b"zz\r\n", chunk(b"") + b"x"])
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        Chunked().feed(data)


def test_a_head_says_how_its_body_is_framed() -> None:
    head, _ = split_head(b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n") or (None, b"")
    assert head
    assert isinstance(body_of(head), Chunked)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("masked", [True, False])
def test_frames_are_read_however_they_arrive(masked: bool, size: int) -> None:
    data = frame(b"hello", masked=masked) + frame(b"\x03\xf4", Opcode.CLOSE, masked=masked)
    frames = Frames()
    found = [one for at in range(0, len(data), size) for one in frames.feed(data[at : at + size])]
    assert found == [(Opcode.BINARY, b"hello"), (Opcode.CLOSE, b"\x03\xf4")]


def test_frames_that_nobody_sends_are_refused() -> None:
    with pytest.raises(ValueError, match="nobody"):
        list(Frames().feed(bytes((0x82, 126, 0, 200))))


def test_a_mask_undoes_itself() -> None:
    assert mask(mask(b"hello", b"abcd"), b"abcd") == b"hello" != mask(b"hello", b"abcd")


def test_the_upgrade_is_accepted_as_the_protocol_asks() -> None:
    """The value that the third-party library calculates from the same key."""
    from websockets.utils import accept_key

    assert accept_key(KEY.decode()) == ACCEPT.decode()


def test_the_pattern_goes_on_for_ever() -> None:
    track = Track()
    assert track.follow(stretch(0, 1000) + stretch(1000, PERIOD) + stretch(1000 + PERIOD, 7))
    assert track.position == 1007 + PERIOD


@pytest.mark.parametrize("size", [2**power for power in range(3, 16)])
def test_pieces_that_are_lost_doubled_or_swapped_show(size: int) -> None:
    first, second = stretch(0, size), stretch(size, size)
    for data in (second, first + first, second + first):
        assert not Track().follow(data)
