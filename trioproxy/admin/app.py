"""The table of endpoints, and the ASGI application that is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from trioproxy.admin import commands, facts
from trioproxy.admin.certificates import certs
from trioproxy.admin.clusters import clusters
from trioproxy.admin.config_dump import config_dump
from trioproxy.admin.endpoint import Command, Reading
from trioproxy.admin.generations import generations, live
from trioproxy.admin.guard import Guard
from trioproxy.admin.instance import TooLate
from trioproxy.admin.listeners import listeners
from trioproxy.admin.log_levels import set_levels
from trioproxy.admin.page import page
from trioproxy.admin.query import BadQuery
from trioproxy.admin.responses import html, text
from trioproxy.admin.statistics import prometheus, stats

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from trioproxy.admin.endpoint import Endpoint
    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View

FORMAT = {"format": "text (the default) or json"}
SELECTION = {
    "usedonly": "only what has ever been other than 0",
    "filter": "only names in which this regular expression is found",
    "type": "All (the default), Counters, Gauges, Histograms or TextReadouts",
}
LOG_LEVELS = {
    "level": "the level of everything",
    "<component>": "its level",
    "paths": "component:level,... for several",
}
DRAINING = {
    "graceful": "accept until the drain time is over",
    "skip_exit": "never stop accepting",
    "inboundonly": "only inbound listeners; here, all are",
}


async def home(view: View, query: Query) -> Response:
    """Show the page for people."""
    return html(page(view, ENDPOINTS, await view.instance.generations()))


def help_(view: View, query: Query) -> Response:
    """List the endpoints."""
    return text(help_text())


ENDPOINTS: tuple[Endpoint, ...] = (
    Reading("/", "this instance at a glance", home),
    Reading("/certs", "certificates in use", certs),
    Reading(
        "/clusters",
        "clusters, their limits and their hosts",
        clusters,
        {**FORMAT, "filter": "only clusters in whose name this regular expression is found"},
    ),
    Reading(
        "/config_dump",
        "the configuration in effect, without secrets",
        config_dump,
        {
            "resource": "only static_clusters or static_listeners",
            "name_regex": "only items whose name this regular expression matches",
        },
    ),
    Command(
        "/connections/close",
        "have a connection leave at once",
        commands.close_connection,
        {"id": "required: epoch.worker.number, as /generations?format=json says"},
        query=None,
    ),
    Reading("/contention", "waiting for locks", facts.contention),
    Command(
        "/drain",
        "undo what /drain_listeners began",
        commands.cancel_drain,
        {"cancel": "required; who was told to leave goes on leaving"},
        query="cancel",
    ),
    Command("/drain_listeners", "drain the listeners", commands.drain_listeners, DRAINING),
    Reading("/generations", "who serves, who leaves, and how they leave", generations, FORMAT),
    Command("/healthcheck/fail", "answer health checks with 503", commands.fail_health),
    Command("/healthcheck/ok", "answer health checks with 200 again", commands.restore_health),
    Reading("/help", "this list", help_),
    Reading("/hot_restart_version", "what the next one must be like", facts.restart_version),
    Reading("/init_dump", "what start-up still waits for", facts.init_dump),
    Reading("/listeners", "listeners and their addresses", listeners, FORMAT),
    Command("/logging", "set and show log levels", set_levels, LOG_LEVELS),
    Reading("/memory", "memory of all processes, in bytes", facts.memory),
    Command("/quitquitquit", "finish what is in flight and exit", commands.quit_),
    Reading("/ready", "200 if this instance is live, else 503", facts.ready),
    Command("/reopen_logs", "open all log files anew by name", commands.reopen_logs),
    Command("/reset_counters", "set all counters to 0", commands.reset_counters),
    Reading("/runtime", "runtime overrides", facts.runtime),
    Reading("/server_info", "version, state, uptime and options", facts.server_info),
    Reading(
        "/stats",
        "statistics",
        stats,
        {**SELECTION, "format": "text (the default), json or prometheus"},
    ),
    Reading("/stats/prometheus", "statistics for Prometheus", prometheus, SELECTION),
)

LIVE = Reading("/live", "the generations again and again, for the page alone", live)


def make_app(view: View, allow_hosts: Collection[str] = ()) -> ASGIApp:
    """Return the application; it also answers to the names `allow_hosts`."""
    app = Starlette(
        routes=[*(endpoint.route(view) for endpoint in ENDPOINTS), LIVE.route(view)],
        exception_handlers={
            404: not_found,
            405: not_allowed,
            BadQuery: bad_query,
            TooLate: too_late,
        },
    )
    app.router.redirect_slashes = False
    return Guard(app, allow_hosts)


async def not_found(request: Request, error: Exception) -> Response:
    """Answer with what there is instead."""
    return text(f"invalid path. {help_text()}", 404)


async def not_allowed(request: Request, error: Exception) -> Response:
    """Answer with the method to use; reading takes GET or POST."""
    assert isinstance(error, HTTPException)
    needed = "GET" if "GET" in (error.headers or {}).get("Allow", "") else "POST"
    return text(f"Method {request.method} not allowed, {needed} required.", 405)


async def bad_query(request: Request, error: Exception) -> Response:
    """Answer with what is wrong."""
    return text(f"{error}\n", 400)


async def too_late(request: Request, error: Exception) -> Response:
    """Answer with the reason."""
    return text(f"{error}\n", 409)


def help_text() -> str:
    """Return the list of endpoints with their parameters."""
    lines = ["admin commands are:\n"]
    for endpoint in ENDPOINTS:
        method = " (POST)" if isinstance(endpoint, Command) else ""
        lines.append(f"  {endpoint.path}{method}: {endpoint.meaning}\n")
        lines += [f"      {name}: {meaning}\n" for name, meaning in endpoint.parameters.items()]
    return "".join(lines)
