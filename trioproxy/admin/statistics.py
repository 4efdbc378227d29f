"""The endpoints that show the statistics: `/stats` and `/stats/prometheus`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.admin.query import choice, pattern
from trioproxy.admin.responses import json_text, text
from trioproxy.stats.prometheus import render_prometheus
from trioproxy.stats.snapshot import Snapshot, Type
from trioproxy.stats.text import render_json, render_text

if TYPE_CHECKING:
    from starlette.responses import Response

    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View

TEXT_READOUTS = "TextReadouts"
"""A type of statistics that Envoy has and that is always empty here."""


def stats(view: View, query: Query) -> Response:
    """Show the statistics that are asked for, in the format that is asked for."""
    match choice(query, "format", "text", "json", "prometheus"):
        case "prometheus":
            return prometheus(view, query)
        case "json":
            choice(query, "histogram_buckets", "summary")
            return json_text(render_json(select(view, query)))
        case _:
            choice(query, "histogram_buckets", "summary")
            return text(render_text(select(view, query)))


def prometheus(view: View, query: Query) -> Response:
    """Show the statistics that are asked for to Prometheus."""
    choice(query, "histogram_buckets", "cumulative")
    return text(render_prometheus(select(view, query)))


def select(view: View, query: Query) -> Snapshot:
    """Return what `filter`, `usedonly` and `type` leave of the statistics; raises BadQuery."""
    kind = choice(query, "type", *(each.value for each in Type), TEXT_READOUTS)
    wanted = pattern(query)
    if kind == TEXT_READOUTS:
        return Snapshot()
    used_only = "usedonly" in query
    return view.stats.snapshot().select(pattern=wanted, used_only=used_only, kind=Type(kind))
