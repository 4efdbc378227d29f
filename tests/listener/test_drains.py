"""Telling many connections to leave: how they are spread, and that the loop goes on meanwhile."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

import pytest
from serving import http

from trioproxy.drain.lifetime import Cause
from trioproxy.listener.drains import PORTION, place

if TYPE_CHECKING:
    from serving import Proxy, Serving

DIRECT = "{match: {prefix: /}, direct_response: {status: 204}}"


@pytest.mark.parametrize("count", [10, 100, 1000, 10_000])
@pytest.mark.parametrize("first", [0, 450, 9999])
def test_any_in_a_row_are_spread_evenly(count: int, first: int) -> None:
    """A63: nobody's turn is much nearer to the next one's than to that of anybody else."""
    places = sorted(place(number, 0.3) for number in range(first, first + count))
    gaps = [after - before for before, after in pairwise([*places, places[0] + 1])]
    assert 0 <= places[0] < places[-1] < 1
    assert 0.38 / count < min(gaps) < max(gaps) < 1.9 / count


def told(proxy: Proxy) -> int:
    listeners = cast("dict[str, dict[str, int]]", proxy.plane.report()["listeners"])
    return listeners["web"]["told"]


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_many_are_told_in_portions(serving: Serving, *, withdrawn: bool) -> None:
    """So that the loop goes on meanwhile; when the cause is withdrawn, the rest is not told."""
    async with serving(http(routes=DIRECT)) as proxy:
        for _ in range(3 * PORTION):
            await proxy.connect()
        await proxy.quiet()
        proxy.plane.drain(Cause.ADMIN, 600, 900, immediate=True)
        assert told(proxy) == PORTION
        if withdrawn:
            proxy.plane.undrain(Cause.ADMIN)
        await proxy.quiet()
        assert told(proxy) == (PORTION if withdrawn else 3 * PORTION)
