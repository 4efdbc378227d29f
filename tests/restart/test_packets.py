"""Cutting and putting together, with descriptors that are pipes so that a leak would show."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioproxy.restart.packets import (
    FIRST,
    LARGEST_CREW,
    LARGEST_MESSAGE,
    LAST,
    MOST_FDS,
    PIECE,
    Assembler,
    BadMessage,
    TooLarge,
    packets,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def descriptor() -> Iterator[int]:
    """A descriptor that somebody else has to close: fails where nobody did."""
    fd = os.open(os.devnull, os.O_RDONLY)
    yield fd
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


sizes = st.sampled_from([0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 5])
counts = st.sampled_from([0, 1, MOST_FDS, MOST_FDS + 1, 3 * MOST_FDS])


@given(sizes, counts)
def test_what_is_cut_is_put_together(size: int, count: int) -> None:
    body, fds = os.urandom(size), tuple(range(1000, 1000 + count))
    assembler, messages = Assembler(), []
    for packet, share in packets(body, fds):
        assert len(packet) <= PIECE + 1
        assert len(share) <= MOST_FDS
        messages.append(assembler.feed(packet, share))
    assert messages[-1] == (body, fds)
    assert set(messages[:-1]) <= {None}


def test_a_message_given_up_half_way_is_dropped_and_the_next_one_is_whole() -> None:
    assembler = Assembler()
    with descriptor() as fd:
        assert assembler.feed(bytes([FIRST]) + b"half", [fd]) is None
        assert assembler.feed(bytes([FIRST | LAST]) + b"whole", []) == (b"whole", ())


@pytest.mark.parametrize("marks", [0, LAST, 4 | FIRST | LAST, 255])
def test_a_packet_of_no_message_is_refused_and_its_descriptors_closed(marks: int) -> None:
    with descriptor() as fd, pytest.raises(BadMessage):
        Assembler().feed(bytes([marks]) + b"x", [fd])


def test_a_message_that_never_ends_is_refused() -> None:
    assembler = Assembler()
    with descriptor() as fd:
        assembler.feed(bytes([FIRST]) + bytes(PIECE), [fd])
        for _ in range(LARGEST_MESSAGE // PIECE - 1):
            assembler.feed(bytes([0]) + bytes(PIECE), [])
        with pytest.raises(BadMessage, match="too large"):
            assembler.feed(bytes([0]) + bytes(PIECE), [])


def test_what_no_receiver_takes_is_not_sent() -> None:
    with pytest.raises(TooLarge, match="too large"):
        list(packets(bytes(LARGEST_MESSAGE + 1), ()))
    with pytest.raises(TooLarge, match="too large"):
        list(packets(b"", range(LARGEST_CREW + 1)))
