"""The page `/`: the main figures for people, and the way to everything else."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from trioproxy import __version__
from trioproxy.admin.address import label
from trioproxy.admin.endpoint import Command, Reading
from trioproxy.admin.fragment import fragment, scroll
from trioproxy.admin.instance import State
from trioproxy.admin.responses import SCRIPT
from trioproxy.admin.words import duration
from trioproxy.stats.family import sanitized

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from trioproxy.admin.endpoint import Endpoint
    from trioproxy.admin.instance import Instance
    from trioproxy.admin.view import View
    from trioproxy.restart.protocol import Progress
    from trioproxy.stats.snapshot import Snapshot

MIB = 1 << 20
LISTENER_COLUMNS = {"open": "downstream_cx_active", "accepted": "downstream_cx_total"}
CLUSTER_COLUMNS = {
    "open": "upstream_cx_active",
    "in flight": "upstream_rq_active",
    "requests": "upstream_rq_total",
    "5xx": "upstream_rq_5xx",
    "connect failures": "upstream_cx_connect_fail",
}


def page(view: View, endpoints: Sequence[Endpoint], generations: Sequence[Progress]) -> str:
    """Return the page as HTML."""
    instance, snapshot = view.instance, view.stats.snapshot()
    return Template(files("trioproxy.admin").joinpath("page.html").read_text()).substitute(
        title=escape(f"trioproxy {instance.state.name}, epoch {instance.epoch}"),
        state=instance.state.name,
        **{"class": "live" if instance.state is State.LIVE else ""},
        subtitle=escape(subtitle(instance)),
        figures="\n".join(map(figure, *zip(*figures(instance, snapshot), strict=True))),
        generations=fragment(generations, instance.history),
        script=SCRIPT,
        listeners=table(LISTENER_COLUMNS, listener_rows(instance, snapshot)),
        clusters=table(CLUSTER_COLUMNS, cluster_rows(instance, snapshot)),
        readings="\n".join(link(each) for each in endpoints if isinstance(each, Reading)),
        commands="\n".join(
            button(each)
            for each in endpoints
            if isinstance(each, Command) and each.query is not None
        ),
    )


def subtitle(instance: Instance) -> str:
    """Say which program and which generation this is."""
    workers = instance.options.concurrency
    plural = "" if workers == 1 else "s"
    return f"{__version__}, epoch {instance.epoch}, {workers} worker{plural}"


def figures(instance: Instance, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield what is worth a look first, each with its name."""
    yield "up for", duration(instance.uptime)
    yield "connections", f"{snapshot.gauges.get('server.total_connections', 0):,}"
    yield "in the parent", f"{snapshot.gauges['server.parent_connections']:,}"
    yield "HTTP requests", f"{total(snapshot.counters, 'http.', '.downstream_rq_total'):,}"
    yield "in flight", f"{total(snapshot.gauges, 'http.', '.downstream_rq_active'):,}"
    yield "answered 5xx", f"{total(snapshot.counters, 'http.', '.downstream_rq_5xx'):,}"
    yield "memory", f"{snapshot.gauges['server.memory_physical_size'] // MIB:,} MiB"


def total(values: Mapping[str, int], start: str, end: str) -> int:
    """Return the sum over all scopes between `start` and `end`."""
    return sum(
        value for name, value in values.items() if name.startswith(start) and name.endswith(end)
    )


def listener_rows(instance: Instance, snapshot: Snapshot) -> Iterator[list[str]]:
    """Yield a row for each listener."""
    for listener in instance.config.listeners:
        where = label(instance.addresses.get(listener.name, listener.address))
        scope = sanitized(f"listener.{listener.address.stat_name}")
        yield [f"{listener.name} {where}", *cells(snapshot, scope, LISTENER_COLUMNS)]


def cluster_rows(instance: Instance, snapshot: Snapshot) -> Iterator[list[str]]:
    """Yield a row for each cluster."""
    for cluster in instance.config.clusters:
        scope = sanitized(f"cluster.{cluster.name}")
        yield [cluster.name, *cells(snapshot, scope, CLUSTER_COLUMNS)]


def cells(snapshot: Snapshot, scope: str, columns: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of a scope's statistics, one for each column."""
    for column in columns.values():
        name = f"{scope}.{column}"
        yield f"{snapshot.counters.get(name) or snapshot.gauges.get(name, 0):,}"


def figure(name: str, value: str) -> str:
    """Return one figure as HTML."""
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"


def table(columns: Iterable[str], rows: Iterable[list[str]]) -> str:
    """Return a table as HTML; the first column needs no head."""
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *columns))
    return scroll(head, ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows))


def link(endpoint: Reading) -> str:
    """Return the way to an endpoint as HTML."""
    path, meaning = escape(endpoint.path), escape(endpoint.meaning)
    return f'<li><a href="{path}">{path}</a><span>{meaning}</span></li>'


def button(endpoint: Command) -> str:
    """Return the button that POSTs to an endpoint as HTML."""
    path, meaning = escape(endpoint.path), escape(endpoint.meaning)
    path += f"?{endpoint.query}" if endpoint.query else ""
    form = f'<form method="post" action="{path}"><button>{path}</button></form>'
    return f"<li>{form}<span>{meaning}</span></li>"
