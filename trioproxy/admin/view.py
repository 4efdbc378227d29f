"""What the endpoints look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from trioproxy.admin.instance import Instance
    from trioproxy.admin.own_stats import OwnStats


@attrs.frozen
class View:
    """An instance, and the statistics of all its processes."""

    instance: Instance
    stats: OwnStats
