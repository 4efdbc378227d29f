"""The endpoint `/clusters`: each cluster's limits and hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioproxy.admin.address import label
from trioproxy.admin.hosts import HostFacts, figures_of, known, success_rates
from trioproxy.admin.query import pattern
from trioproxy.admin.responses import as_json, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from starlette.responses import Response

    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View
    from trioproxy.clusters.membership import Membership
    from trioproxy.config.cluster import Cluster
    from trioproxy.upstream.member import Member


@attrs.frozen
class ClusterFacts:
    """A cluster as it is now."""

    membership: Membership
    hosts: Sequence[HostFacts]

    @property
    def name(self) -> str:
        """Its name."""
        return self.membership.name

    def lines(self) -> Iterator[str]:
        """Yield it as `name::key::value` lines."""
        name, failure = self.name, self.membership.failure
        yield f"{name}::observability_name::{name}"
        for key, rate in outliers(self.membership).items():
            yield f"{name}::outlier::{key}::{rate:g}"
        for limit, value in limits(self.membership.config).items():
            yield f"{name}::default_priority::{limit}::{value}"
        yield f"{name}::added_via_api::false"
        if failure:
            yield f"{name}::discovery_failure::{failure}"
        for host in self.hosts:
            for key, said in host.lines().items():
                yield f"{name}::{label(host.address)}::{key}::{said}"

    def status(self) -> dict[str, object]:
        """Return it as an object."""
        failure = self.membership.failure
        return {
            "name": self.name,
            **({"discovery_failure": failure} if failure else {}),
            **known(thresholds(self.membership)),
            "host_statuses": [host.status() for host in self.hosts],
            "circuit_breakers": {"thresholds": [limits(self.membership.config)]},
            "observability_name": self.name,
        }


def clusters(view: View, query: Query) -> Response:
    """Show the clusters whose name the query's `filter` is found in."""
    wanted = pattern(query)
    hidden = view.stats.snapshot().hidden
    chosen = [
        facts(membership, hidden)
        for name, membership in view.instance.memberships.items()
        if wanted is None or wanted.search(name)
    ]
    if query.get("format") == "json":
        return as_json({"cluster_statuses": [each.status() for each in chosen]})
    return text("".join(f"{line}\n" for each in chosen for line in each.lines()))


def facts(membership: Membership, hidden: Mapping[str, int]) -> ClusterFacts:
    """Look at a cluster; `hidden` are the figures of all hosts by their names.

    A host that left is there as long as somebody has a connection to it.
    """
    name = membership.name

    def look(host: Member) -> HostFacts:
        return HostFacts(host, figures_of(name, host, hidden), success_rates(membership, host))

    leaving = [each for each in map(look, membership.departed) if each.figures["cx_active"]]
    return ClusterFacts(membership, [*map(look, membership.members), *leaving])


def outliers(membership: Membership) -> dict[str, float]:
    """Return how the hosts compare, in percent; nothing where outliers are not looked for."""
    if membership.config.outlier_detection is None:
        return {}
    return {
        "success_rate_average": membership.success_rates.mean,
        "local_origin_success_rate_average": membership.local_success_rates.mean,
        **thresholds(membership),
    }


def thresholds(membership: Membership) -> dict[str, float]:
    """Return the success rates below which a host stands out, in percent."""
    return {
        "success_rate_ejection_threshold": membership.success_rates.least,
        "local_origin_success_rate_ejection_threshold": membership.local_success_rates.least,
    }


def limits(cluster: Cluster) -> dict[str, int]:
    """Return the circuit breakers' limits, by name."""
    values = attrs.asdict(cluster.circuit_breakers, recurse=False)
    return {name: value for name, value in values.items() if name != "retry_budget"}
