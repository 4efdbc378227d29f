"""A host as `/clusters` shows it: health, weight, place, and its figures over all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioproxy.clusters.success_rates import NOT_KNOWN
from trioproxy.config.address import Address
from trioproxy.stats.family import sanitized
from trioproxy.stats.upstream import host_scope
from trioproxy.upstream import member as flags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trioproxy.clusters.membership import Membership
    from trioproxy.upstream.member import Member

COUNTERS = ("cx_connect_fail", "cx_total", "rq_error", "rq_success", "rq_timeout", "rq_total")
GAUGES = ("cx_active", "rq_active")

HEALTH_KEYS = {
    flags.FAILED_ACTIVE_HC: "failed_active_health_check",
    flags.FAILED_OUTLIER_CHECK: "failed_outlier_check",
    flags.PENDING_DYNAMIC_REMOVAL: "pending_dynamic_removal",
    flags.PENDING_ACTIVE_HC: "pending_active_hc",
}
"""What Envoy's JSON calls the flags of its lines."""


@attrs.frozen
class HostFacts:
    """A host of a cluster with its counters and gauges, and its success rates in percent."""

    host: Member
    figures: Mapping[str, int]
    rates: Mapping[str, float]

    @property
    def address(self) -> Address:
        """Where it is."""
        return Address.parse(self.host.address)

    def lines(self) -> dict[str, object]:
        """Return it line by line; what trioproxy knows no such thing of is empty.

        `-1` is a success rate that was not measured.
        """
        host = self.host
        return {
            **{name: self.figures[name] for name in sorted(self.figures)},
            "hostname": host.hostname,
            "health_flags": "".join(f"/{flag}" for flag in host.flags) or "healthy",
            "weight": host.weight,
            "region": host.locality.region,
            "zone": host.locality.zone,
            "sub_zone": host.locality.sub_zone,
            "canary": "false",
            "priority": host.priority,
            **{key: f"{rate:g}" for key, rate in self.rates.items()},
        }

    def status(self) -> dict[str, object]:
        """Return it as an object; what is zero or empty is left out, 64-bit numbers are texts."""
        host = self.host
        return {
            "address": self.address.structured,
            "stats": [self._stat(name) for name in (*COUNTERS, *GAUGES)],
            "health_status": health(host),
            **known(self.rates),
            "weight": host.weight,
            **({"hostname": host.hostname} if host.hostname else {}),
            **({"priority": host.priority} if host.priority else {}),
            "locality": locality(host),
        }

    def _stat(self, name: str) -> dict[str, object]:
        return {
            **({"type": "GAUGE"} if name in GAUGES else {}),
            **({"value": str(self.figures[name])} if self.figures[name] else {}),
            "name": name,
        }


def success_rates(membership: Membership, host: Member) -> dict[str, float]:
    """Return the success rates of a host, in percent."""
    return {
        "success_rate": membership.success_rates.rates.get(host.key, NOT_KNOWN),
        "local_origin_success_rate": membership.local_success_rates.rates.get(host.key, NOT_KNOWN),
    }


def known(rates: Mapping[str, float]) -> dict[str, object]:
    """Return those of the rates that were measured, as Envoy writes them in JSON."""
    return {key: {"value": rate} for key, rate in rates.items() if rate != NOT_KNOWN}


def figures_of(cluster: str, host: Member, hidden: Mapping[str, int]) -> dict[str, int]:
    """Return a host's counters and gauges, summed over the workers."""
    scope = sanitized(host_scope(cluster, host.key))
    return {name: hidden.get(f"{scope}.{name}", 0) for name in (*COUNTERS, *GAUGES)}


def health(host: Member) -> dict[str, object]:
    """Return what speaks against a host, and what its list says of it."""
    if flags.FAILED_EDS_HEALTH in host.flags:
        listed = "UNHEALTHY"
    else:
        listed = "DEGRADED" if flags.DEGRADED_EDS_HEALTH in host.flags else "HEALTHY"
    raised = {key: True for flag, key in HEALTH_KEYS.items() if flag in host.flags}
    return {**raised, "eds_health_status": listed}


def locality(host: Member) -> dict[str, str]:
    """Return where a host stands, as far as that is said."""
    names = ("region", "zone", "sub_zone")
    return {name: said for name in names if (said := getattr(host.locality, name))}
