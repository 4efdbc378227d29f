"""Limits that hold for an instance as a whole, whatever becomes of its processes."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from sites import Unfinished, a_site, ask, web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from instances import Instance
    from sites import Site

BURST = 24
LIMIT = {"local_rate_limit": {"tokens_per_second": 1e-3, "burst": BURST}}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        site.configure(web(http_filters=[LIMIT, {"router": {}}]))
        yield site


def asked(instance: Instance, count: int) -> Counter[int]:
    return Counter(ask(instance.ports["web"])[0] for _ in range(count))


def test_a_rate_limit_holds_over_workers_generations_and_deaths(site: Site) -> None:
    """All workers take from one bucket; a restart fills it no more than a kill -9 does."""
    parent = site.serve()
    seen = asked(parent, 7)
    os.kill(parent.workers[1], signal.SIGKILL)
    parent.wait_for("worker 1 (pid")
    with Unfinished(parent.ports["web"]) as in_the_parent:  # takes a token
        seen += asked(parent, 8)
        child = site.serve(1)
        os.kill(child.workers[0], signal.SIGKILL)
        seen += asked(parent, 16)
        assert seen == {200: BURST - 1, 429: 8}
        assert in_the_parent.finish() == "local_rate_limited"
