from __future__ import annotations

import attrs
import pytest

from trioproxy.admin.words import duration, left, sentence, size
from trioproxy.restart.protocol import Listening, Progress, Standing

STANDING = Standing(
    0, 17, "web", "HTTP/1.1", "192.0.2.7:40312", 3725, stands="stream", rung="stream", due=30.2
)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min 0 s"),
        (3_725, "1 h 2 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_is_said_by_its_largest_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_500_000, "1.4 MiB"),
        (3 << 40, "3.0 TiB"),
        (2**64 - 1, "16.0 EiB"),
    ],
)
def test_a_size_has_a_unit(count: int | None, said: str) -> None:
    assert size(count) == said


@pytest.mark.parametrize(
    ("stands", "rung", "why"),
    [
        ("idle", "stay", "waits for a request"),
        ("idle", "notice", "waits for a request, not told to leave yet"),
        ("stream", "stream", "in an exchange, told to leave"),
        ("flow", "move", "bytes flow, about to move"),
        ("streams", "life", "in exchanges, told to leave"),
        ("life", "life", "with its filter, told to leave"),
        ("a word to come", "another", "a word to come, told to leave"),
    ],
)
def test_why_a_connection_is_still_there(stands: str, rung: str, why: str) -> None:
    said = sentence(attrs.evolve(STANDING, stands=stands, rung=rung))
    assert (
        said
        == f"192.0.2.7:40312 at web, HTTP/1.1, for 1 h 2 min: {why}, gone in 30 s at the latest"
    )


def test_who_need_not_go_and_has_no_address() -> None:
    said = sentence(attrs.evolve(STANDING, peer="", due=None))
    assert said == "a Unix socket at web, HTTP/1.1, for 1 h 2 min: in an exchange, told to leave"


def test_how_many_are_left_and_until_when() -> None:
    """A72: over all listeners."""
    web = Listening("web", open=1000, next=4.0, last=30.0)
    db = Listening("db", open=200, next=2.0, last=900.0)
    assert left(Progress(1, "serving", (web, db))) == ""
    assert (
        left(Progress(1, "draining", (web, db), 1500, moved=290))
        == "1,200 of 1,500 left, 290 moved, 0 declined, next in 2 s, last in 15 min 0 s"
    )
    assert left(Progress(1, "draining", (Listening("web", open=3),), 2)) == "3 of 3 left"
