from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from trioproxy.accesslog.output import ignore
from trioproxy.accesslog.writer import AccessLogs
from trioproxy.clusters.tallies import Tallies
from trioproxy.clusters.watch import WatchTools
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region
from trioproxy.stats.writer import MAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioproxy.stats.writer import Writer


@pytest.fixture
def region() -> Iterator[Region]:
    with Region.create() as region:
        yield region


@pytest.fixture
def writer(region: Region) -> Iterator[Writer]:
    with region.claim(0, MAIN) as writer:
        yield writer


@pytest.fixture
def reader(region: Region, writer: Writer) -> Iterator[Reader]:
    with Reader(region, 0) as reader:
        yield reader


@pytest.fixture
def tools(reader: Reader, writer: Writer) -> Iterator[WatchTools]:
    """Chance that is the same each time, and a clock that stands at the start of 1970."""
    with AccessLogs(ignore) as logs:
        yield WatchTools(writer, Tallies(reader), random.Random(1), logs, lambda: 0.0)
