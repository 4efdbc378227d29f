"""The endpoint `/logging`: which component logs from which level on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from trioproxy.admin.query import BadQuery
from trioproxy.admin.responses import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.responses import Response

    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View

log = logging.getLogger("trioproxy.admin")

LEVELS = ("trace", "debug", "info", "warning", "warn", "error", "critical", "off")
ALL = ""
"""What a level is set for where no component is named."""


async def set_levels(view: View, query: Query) -> Response:
    """Set the levels that the query names, all or none of them; answer with all levels."""
    instance = view.instance
    levels = dict(wanted(query))
    check(levels, instance.log_levels)
    for component, level in levels.items():
        log.info("%s logs from %s on, by request", component or "everything", level)
        await instance.set_log_level(level, component)
    lines = [f"  {name}: {level}\n" for name, level in sorted(instance.log_levels.items())]
    return text("".join(["active loggers:\n", *lines, "\n"]))


def wanted(query: Query) -> Iterator[tuple[str, str]]:
    """Yield components with the levels that a query asks for; raises BadQuery."""
    for name, value in query.items():
        if name == "level":
            yield ALL, value
        elif name in {"paths", "group"}:
            yield from map(pair, value.split(","))
        else:
            yield name, value


def pair(said: str) -> tuple[str, str]:
    """Read `component:level`; raises BadQuery."""
    component, colon, level = said.partition(":")
    if not (component and colon):
        raise BadQuery(f"expected component:level, found {said!r}")
    return component, level


def check(levels: Mapping[str, str], known: Mapping[str, str]) -> None:
    """Raise BadQuery where a component or a level is not known."""
    for component, level in levels.items():
        if component != ALL and component not in known:
            raise BadQuery(f"unknown component {component!r}: expected {', '.join(sorted(known))}")
        if level not in LEVELS:
            raise BadQuery(f"unknown level {level!r}: expected {', '.join(LEVELS)}")
