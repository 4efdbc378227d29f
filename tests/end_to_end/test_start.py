"""What a start imports before it serves: no more than it takes."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

from lineage import Generations
from sites import get

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from instances import Instance

LATER = {
    "hypercorn",
    "starlette",
    "anyio",
    "h11",
    "h2",
    "asyncio",
    "concurrent",
    "email",
    "multiprocessing",
    "trioproxy.admin.app",
    "trioproxy.config.reference",
    "trioproxy.config.schema",
}
"""What takes long, and serves the admin interface or other commands only."""

IMPORTED = re.compile(r"import time: +\d+ \| +\d+ \| +(\S+)")


def imported(lines: Iterable[str]) -> set[str]:
    """Return the modules that Python says it has imported."""
    return {found[1] for line in lines if (found := IMPORTED.match(line))}


def start(generations: Generations) -> Instance:
    """Start a generation whose imports are in its log."""
    generations.command[1:1] = ["-X", "importtime"]
    return generations.serve()


def test_the_way_to_readiness_is_short(tmp_path: Path) -> None:
    """What only admin, or other commands, need is imported when it is needed."""
    with closing(Generations(tmp_path)) as generations:
        modules = imported(start(generations).log)
        assert {"trio", "trioproxy.filters.http.router"} <= modules
        assert not {name for name in modules if {name, name.partition(".")[0]} & LATER}
        assert get(generations.admin, "/ready") == "LIVE\n"
        generations.all[0].wait_for("hypercorn.trio.tcp_server")


def test_workers_import_nothing(tmp_path: Path) -> None:
    """The zygote has it all before it forks: only main, which opens admin, is still importing."""
    with closing(Generations(tmp_path)) as generations:
        log = start(generations).log
        forked = next(place for place, line in enumerate(log) if "epoch 0: initialising" in line)
        late = imported(log[forked:])
        mains = ("trioproxy.admin", "trioproxy.server.instance")
        assert all(name.startswith(mains) for name in late)
        assert generations.connect().ask()
