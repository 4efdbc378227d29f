from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.testing

from trioproxy.drain.sweep import Sweep
from trioproxy.stats.http2 import Http2Stats
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region
from trioproxy.wire.keepalive import KeepAlive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Open

    from trioproxy.stats.handles import Counter


@attrs.frozen
class Lost:
    """Counts who was given up."""

    counter: Counter
    reader: Reader

    @property
    def value(self) -> int:
        return self.reader.snapshot().counters["http2.keepalive_timeout"]


@pytest.fixture
def lost() -> Iterator[Lost]:
    with Region.create() as region, region.claim(0, 0) as writer, Reader(region, 0) as reader:
        yield Lost(Http2Stats(writer).keepalive_timeout, reader)


async def test_a_peer_that_answers_is_left_alone(open_served: Open, lost: Lost) -> None:
    async with open_served() as served:
        sweep = Sweep(served.multiplex.transport.reactor)
        keepalive = KeepAlive(served.multiplex, sweep, 60, 5, lost.counter)
        keepalive.begin()
        keepalive.expire()
        for _ in range(3):
            heard = served.multiplex.heard
            keepalive.expire()
            await trio.testing.wait_all_tasks_blocked()
            await served.client.more()
            await trio.testing.wait_all_tasks_blocked()
            assert served.multiplex.heard > heard
            keepalive.expire()
        assert lost.value == 0
        keepalive.end()
        assert not sweep.timed


async def test_a_peer_that_does_not_answer_is_given_up(open_served: Open, lost: Lost) -> None:
    with pytest.RaisesGroup(TimeoutError, allow_unwrapped=True, flatten_subgroups=True):
        async with open_served() as served:
            sweep = Sweep(served.multiplex.transport.reactor)
            keepalive = KeepAlive(served.multiplex, sweep, 60, 5, lost.counter)
            keepalive.expire()
            keepalive.expire()
            await trio.testing.wait_all_tasks_blocked()
            assert lost.value == 0
            keepalive.expire()
            assert lost.value == 1
            await trio.sleep_forever()


async def test_without_an_interval_nobody_is_asked(open_served: Open, lost: Lost) -> None:
    async with open_served() as served:
        sweep = Sweep(served.multiplex.transport.reactor)
        KeepAlive(served.multiplex, sweep, 0, 5, lost.counter).begin()
        assert not sweep.timed
