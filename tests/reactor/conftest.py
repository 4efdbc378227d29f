"""A running reactor; every test must leave as many fds as it found."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import pytest
from ends import PAIRS

from trioproxy.reactor.running import open_reactor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trioproxy.reactor.epoll import Reactor


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
async def reactor() -> AsyncIterator[Reactor]:
    gc.collect()
    before = open_fds()
    async with open_reactor() as reactor:
        yield reactor
        assert reactor.transports == {}
    assert open_fds() == before


@pytest.fixture(params=PAIRS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
