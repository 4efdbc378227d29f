from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import serving as data_plane

if TYPE_CHECKING:
    from pathlib import Path

    from serving import Serving


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """`async with serving(yaml) as proxy:` a data plane that must leave nothing behind."""
    return partial(data_plane.serving, directory=tmp_path)
