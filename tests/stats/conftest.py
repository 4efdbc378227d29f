from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.stats.region import Region

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def region() -> Iterator[Region]:
    with Region.create() as region:
        yield region
