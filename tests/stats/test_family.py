from typing import Any

import pytest

from trioproxy.stats import downstream, server, upstream
from trioproxy.stats.family import Family, sanitized
from trioproxy.stats.handles import Counter, Gauge, Handle
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region


class FaultStats(Family):
    """The family of a filter."""

    delays_injected: Counter
    active_faults: Gauge


def test_a_family_is_its_annotations_under_a_scope(region: Region) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        faults = FaultStats(writer, "http.[::1]:80.fault")
        faults.delays_injected.add(2)
        faults.active_faults.add(1)
        snapshot = reader.snapshot()
        assert snapshot.counters == {"http.[__1]_80.fault.delays_injected": 2}
        assert snapshot.gauges == {"http.[__1]_80.fault.active_faults": 1}
        assert repr(faults) == "<FaultStats http.[__1]_80.fault>"


def test_addresses_lose_their_colons() -> None:
    assert sanitized("127.0.0.1:80") == "127.0.0.1_80"


FAMILIES: list[tuple[Any, tuple[object, ...], str]] = [
    (server.ServerStats, (), "server"),
    (server.WatchdogStats, (1,), "server.worker_1"),
    (server.ListenerManagerStats, (), "listener_manager"),
    (server.ClusterManagerStats, (), "cluster_manager"),
    (server.FilesystemStats, (), "filesystem"),
    (downstream.ListenerStats, ("127.0.0.1:80",), "listener.127.0.0.1_80"),
    (downstream.ListenerWorkerStats, ("/run/s", 1), "listener./run/s.worker_1"),
    (downstream.HttpStats, ("ingress",), "http.ingress"),
    (downstream.TcpStats, ("db",), "tcp.db"),
    (upstream.MembershipStats, ("app",), "cluster.app"),
    (upstream.ClusterStats, ("app",), "cluster.app"),
    (upstream.CircuitBreakerStats, ("app",), "cluster.app.circuit_breakers.default"),
    (upstream.HostStats, ("app", "127.0.0.1:80"), "cluster.app.host.127.0.0.1_80"),
]


@pytest.mark.parametrize(("family", "scope", "prefix"), FAMILIES)
def test_every_handle_of_every_family_has_its_name(
    region: Region, family: Any, scope: tuple[object, ...], prefix: str
) -> None:
    with region.claim(0, 0) as writer, Reader(region, 0) as reader:
        handles = {
            name: handle
            for name, handle in vars(family(writer, *scope)).items()
            if isinstance(handle, Handle)
        }
        snapshot = reader.snapshot()
        names = [
            *(*snapshot.counters, *snapshot.gauges),
            *(*snapshot.histograms, *snapshot.hidden),
        ]
        assert handles
        assert sorted(names) == sorted(f"{prefix}.{name}" for name in handles)
