from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
import trio

from trioproxy.clusters.changes import Changes
from trioproxy.clusters.finding import (
    FIRST_RETRY,
    JITTER,
    LAST_RETRY,
    LONGEST,
    SHORTEST,
    DiscoveryFailed,
    Found,
    Pace,
    keep_finding,
)
from trioproxy.clusters.membership import Membership
from trioproxy.config.cluster import Cluster
from trioproxy.config.discovery import Discovery, StrictDns
from trioproxy.upstream.member import Member

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trioproxy.stats.writer import Writer


class Even(Random):
    """Chance that never falls."""

    def random(self) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("refresh", "holds", "pause"),
    [
        (5.0, None, 5.0),
        (5.0, 60.0, 5.0),
        (None, 60.0, 60.0),
        (None, 0.0, SHORTEST),
        (None, 86400.0, LONGEST),
        (None, None, SHORTEST),
    ],
)
def test_the_pause_is_what_is_configured_or_what_the_answer_says(
    refresh: float | None, holds: float | None, pause: float
) -> None:
    assert Pace(refresh, Even()).after(holds) == pause


def test_failures_are_repeated_ever_more_slowly_until_one_succeeds() -> None:
    pace = Pace(None, Even())
    pauses = [pace.after_failure() for _ in range(9)]
    assert pauses[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert pauses[-1] == LAST_RETRY
    pace.after(10.0)
    assert pace.after_failure() == FIRST_RETRY


def test_failures_may_go_on_for_ever() -> None:
    pace = Pace(None, Even())
    assert [pace.after_failure() for _ in range(2000)][-1] == LAST_RETRY


def test_a_failure_is_not_waited_for_longer_than_a_success() -> None:
    pace = Pace(1.0, Even())
    assert max(pace.after_failure() for _ in range(9)) == 1.0


def test_instances_do_not_ask_in_step() -> None:
    pace = Pace(10.0, Random(1))
    pauses = [pace.after(None) for _ in range(1000)]
    assert 10.0 * (1 - JITTER) < min(pauses) < 9.1
    assert 9.9 < max(pauses) <= 10.0


async def test_a_failure_leaves_what_was_found(writer: Writer, autojump_clock: MockClock) -> None:
    membership = Membership(
        Cluster("app", discovery=Discovery(strict_dns=StrictDns("a.b:1"))), writer, Changes()
    )
    seen: list[tuple[float, int, str]] = []

    async def find() -> Found:
        seen.append((trio.current_time() - began, len(membership.members), membership.failure))
        if len(seen) in {1, 3}:
            raise DiscoveryFailed("not now")
        return Found((Member("127.0.0.1:1"),), holds=20.0)

    began = trio.current_time()
    with trio.move_on_after(60):
        await keep_finding(membership, find, Pace(None, Even()))
    assert seen == [
        (0.0, 0, ""),
        (0.5, 0, "not now"),
        (20.5, 1, ""),
        (21.0, 1, "not now"),
        (41.0, 1, ""),
    ]
