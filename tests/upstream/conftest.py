from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from backends import scenes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends import Scene


@pytest.fixture
def scene() -> Iterator[Callable[..., Scene]]:
    """`scene(policy, hosts, seed=, **keys)`: a balancer, with the cluster's other keys."""
    with scenes() as make:
        yield make
