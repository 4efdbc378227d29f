from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
