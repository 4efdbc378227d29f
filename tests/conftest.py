from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING

import pytest
import serving as data_plane
from certificates import Authority

from trioproxy.admin.version import BUILD

if TYPE_CHECKING:
    from pathlib import Path

    from serving import Serving


@pytest.fixture(autouse=True, scope="module")
def settled() -> None:
    """What is there before a module stays: without it a collection is done in no time."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    return f"trioproxy: {BUILD}"


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """`async with serving(yaml) as proxy:` a data plane that must leave nothing behind."""
    return partial(data_plane.serving, directory=tmp_path)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs certificates for this test run."""
    return Authority(tmp_path_factory.mktemp("certificates"))
