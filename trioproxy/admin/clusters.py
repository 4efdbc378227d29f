"""The endpoint `/clusters`: each cluster's limits, and each host's figures over all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioproxy.admin.address import label, structured
from trioproxy.admin.query import pattern
from trioproxy.admin.responses import as_json, text
from trioproxy.config.address import Address
from trioproxy.stats.family import sanitized
from trioproxy.stats.upstream import host_scope
from trioproxy.upstream import member as flags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.responses import Response

    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View
    from trioproxy.clusters.membership import Membership
    from trioproxy.config.cluster import Cluster
    from trioproxy.upstream.member import Member

COUNTERS = ("cx_connect_fail", "cx_total", "rq_error", "rq_success", "rq_timeout", "rq_total")
GAUGES = ("cx_active", "rq_active")

HEALTH_KEYS = {
    flags.FAILED_ACTIVE_HC: "failed_active_health_check",
    flags.FAILED_OUTLIER_CHECK: "failed_outlier_check",
    flags.DEGRADED_ACTIVE_HC: "failed_active_degraded_check",
    flags.PENDING_DYNAMIC_REMOVAL: "pending_dynamic_removal",
    flags.PENDING_ACTIVE_HC: "pending_active_hc",
}
"""What Envoy's JSON calls the flags of its lines."""


def clusters(view: View, query: Query) -> Response:
    """Show the clusters whose name the query's `filter` is found in."""
    wanted = pattern(query)
    chosen = [
        membership
        for name, membership in view.instance.memberships.items()
        if wanted is None or wanted.search(name)
    ]
    figures = view.stats.snapshot().hidden
    if query.get("format") == "json":
        return as_json({"cluster_statuses": [status(each, figures) for each in chosen]})
    return text("".join(f"{line}\n" for each in chosen for line in lines(each, figures)))


def lines(membership: Membership, figures: Mapping[str, int]) -> Iterator[str]:
    """Yield a cluster as `name::key::value` lines."""
    name = membership.name
    yield f"{name}::observability_name::{name}"
    for limit, value in limits(membership.config).items():
        yield f"{name}::default_priority::{limit}::{value}"
    yield f"{name}::added_via_api::false"
    if membership.failure:
        yield f"{name}::discovery_failure::{membership.failure}"
    for host in membership.members:
        for key, said in host_lines(name, host, figures).items():
            yield f"{name}::{label(Address.parse(host.address))}::{key}::{said}"


def host_lines(cluster: str, host: Member, figures: Mapping[str, int]) -> dict[str, object]:
    """Return what is said of a host, line by line; what trioproxy knows no such thing of is empty.

    `-1` is a success rate that was not measured.
    """
    values = host_figures(cluster, host, figures)
    return {
        **{name: values[name] for name in sorted(values)},
        "hostname": host.hostname,
        "health_flags": "".join(f"/{flag}" for flag in host.flags) or "healthy",
        "weight": host.weight,
        "region": host.locality.region,
        "zone": host.locality.zone,
        "sub_zone": host.locality.sub_zone,
        "canary": "false",
        "priority": host.priority,
        "success_rate": -1,
        "local_origin_success_rate": -1,
    }


def status(membership: Membership, figures: Mapping[str, int]) -> dict[str, object]:
    """Return a cluster as an object."""
    name = membership.name
    return {
        "name": name,
        **({"discovery_failure": membership.failure} if membership.failure else {}),
        "host_statuses": [host_status(name, each, figures) for each in membership.members],
        "circuit_breakers": {"thresholds": [limits(membership.config)]},
        "observability_name": name,
    }


def host_status(cluster: str, host: Member, figures: Mapping[str, int]) -> dict[str, object]:
    """Return a host as an object; what is zero or empty is left out, 64-bit numbers are texts."""
    values = host_figures(cluster, host, figures)
    stats = [
        {
            **({"type": "GAUGE"} if name in GAUGES else {}),
            **({"value": str(values[name])} if values[name] else {}),
            "name": name,
        }
        for name in (*COUNTERS, *GAUGES)
    ]
    place = attrs.asdict(host.locality, filter=lambda field, _: field.name != "weight")
    return {
        "address": structured(Address.parse(host.address)),
        "stats": stats,
        "health_status": health(host),
        "weight": host.weight,
        **({"hostname": host.hostname} if host.hostname else {}),
        **({"priority": host.priority} if host.priority else {}),
        "locality": {key: said for key, said in place.items() if said},
    }


def health(host: Member) -> dict[str, object]:
    """Return what speaks against a host, and what its list says of it."""
    if flags.FAILED_EDS_HEALTH in host.flags:
        listed = "UNHEALTHY"
    else:
        listed = "DEGRADED" if flags.DEGRADED_EDS_HEALTH in host.flags else "HEALTHY"
    raised = {key: True for flag, key in HEALTH_KEYS.items() if flag in host.flags}
    return {**raised, "eds_health_status": listed}


def host_figures(cluster: str, host: Member, figures: Mapping[str, int]) -> dict[str, int]:
    """Return a host's counters and gauges, summed over the workers."""
    scope = sanitized(host_scope(cluster, host.key))
    return {name: figures.get(f"{scope}.{name}", 0) for name in (*COUNTERS, *GAUGES)}


def limits(cluster: Cluster) -> dict[str, int]:
    """Return the circuit breakers' limits, by name."""
    values = attrs.asdict(cluster.circuit_breakers, recurse=False)
    return {name: value for name, value in values.items() if name != "retry_budget"}
