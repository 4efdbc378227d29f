"""The endpoint `/clusters`: each cluster's limits, and each host's figures over all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioproxy.admin.address import label
from trioproxy.admin.query import pattern
from trioproxy.admin.responses import as_json, text
from trioproxy.stats.family import sanitized
from trioproxy.stats.upstream import host_scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.responses import Response

    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View
    from trioproxy.config.cluster import Cluster
    from trioproxy.config.endpoint import Endpoint

COUNTERS = ("cx_connect_fail", "cx_total", "rq_error", "rq_success", "rq_timeout", "rq_total")
GAUGES = ("cx_active", "rq_active")


def clusters(view: View, query: Query) -> Response:
    """Show the clusters whose name the query's `filter` is found in."""
    wanted = pattern(query)
    chosen = [
        cluster
        for cluster in view.instance.config.clusters
        if wanted is None or wanted.search(cluster.name)
    ]
    figures = view.stats.snapshot().hidden
    if query.get("format") == "json":
        return as_json({"cluster_statuses": [status(cluster, figures) for cluster in chosen]})
    return text("".join(f"{line}\n" for cluster in chosen for line in lines(cluster, figures)))


def lines(cluster: Cluster, figures: Mapping[str, int]) -> Iterator[str]:
    """Yield a cluster as `name::key::value` lines."""
    yield f"{cluster.name}::observability_name::{cluster.name}"
    for limit, value in limits(cluster).items():
        yield f"{cluster.name}::default_priority::{limit}::{value}"
    yield f"{cluster.name}::added_via_api::false"
    for endpoint in cluster.endpoints:
        host = f"{cluster.name}::{label(endpoint.address)}"
        for key, said in host_lines(cluster, endpoint, figures).items():
            yield f"{host}::{key}::{said}"


def host_lines(
    cluster: Cluster, endpoint: Endpoint, figures: Mapping[str, int]
) -> dict[str, object]:
    """Return what is said of a host, line by line; what trioproxy knows no such thing of is empty.

    `-1` is a success rate that was not measured.
    """
    values = host_figures(cluster, endpoint, figures)
    return {
        **{name: values[name] for name in sorted(values)},
        "hostname": "",
        "health_flags": "healthy",
        "weight": endpoint.weight,
        "region": "",
        "zone": "",
        "sub_zone": "",
        "canary": "false",
        "priority": 0,
        "success_rate": -1,
        "local_origin_success_rate": -1,
    }


def status(cluster: Cluster, figures: Mapping[str, int]) -> dict[str, object]:
    """Return a cluster as an object."""
    return {
        "name": cluster.name,
        "host_statuses": [
            host_status(cluster, endpoint, figures) for endpoint in cluster.endpoints
        ],
        "circuit_breakers": {"thresholds": [limits(cluster)]},
        "observability_name": cluster.name,
    }


def host_status(
    cluster: Cluster, endpoint: Endpoint, figures: Mapping[str, int]
) -> dict[str, object]:
    """Return a host as an object; zeros are left out, 64-bit numbers are texts."""
    values = host_figures(cluster, endpoint, figures)
    stats = [
        {
            **({"type": "GAUGE"} if name in GAUGES else {}),
            **({"value": str(values[name])} if values[name] else {}),
            "name": name,
        }
        for name in (*COUNTERS, *GAUGES)
    ]
    return {
        "address": endpoint.address.structured,
        "stats": stats,
        "health_status": {"eds_health_status": "HEALTHY"},
        "weight": endpoint.weight,
        "locality": {},
    }


def host_figures(
    cluster: Cluster, endpoint: Endpoint, figures: Mapping[str, int]
) -> dict[str, int]:
    """Return a host's counters and gauges, summed over the workers."""
    scope = sanitized(host_scope(cluster.name, str(endpoint.address)))
    return {name: figures.get(f"{scope}.{name}", 0) for name in (*COUNTERS, *GAUGES)}


def limits(cluster: Cluster) -> dict[str, int]:
    """Return the circuit breakers' limits, by name."""
    return attrs.asdict(cluster.circuit_breakers)
