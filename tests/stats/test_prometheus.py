"""Names and labels are those that Envoy 1.40 gives to the same statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.stats.prometheus import render_prometheus, series
from trioproxy.stats.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.stats.snapshot import Distribution

NAMES = [
    ("server.live", "server_live{} 1"),
    ("server.worker_0.watchdog_miss", 'server_worker_watchdog_miss{envoy_worker_id="0"} 1'),
    (
        "cluster.app.upstream_rq_2xx",
        'cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="app"} 1',
    ),
    (
        "cluster.app.upstream_rq_200",
        'cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="app"} 1',
    ),
    (
        "cluster.app.circuit_breakers.default.cx_open",
        'cluster_circuit_breakers_default_cx_open{envoy_cluster_name="app"} 1',
    ),
    (
        "http.ingress.downstream_cx_total",
        'http_downstream_cx_total{envoy_http_conn_manager_prefix="ingress"} 1',
    ),
    (
        "http.ingress.fault.aborts_injected",
        'http_fault_aborts_injected{envoy_http_conn_manager_prefix="ingress"} 1',
    ),
    ("tcp.db.downstream_cx_total", 'tcp_downstream_cx_total{envoy_tcp_prefix="db"} 1'),
    (
        "listener.127.0.0.1_80.downstream_cx_total",
        'listener_downstream_cx_total{envoy_listener_address="127.0.0.1_80"} 1',
    ),
    (
        "listener.[__1]_80.worker_3.downstream_cx_active",
        'listener_worker_downstream_cx_active{envoy_worker_id="3",'
        'envoy_listener_address="[__1]_80"} 1',
    ),
    (
        "listener.0.0.0.0_80.http.ingress.downstream_rq_5xx",
        'listener_http_downstream_rq_xx{envoy_response_code_class="5",'
        'envoy_http_conn_manager_prefix="ingress",envoy_listener_address="0.0.0.0_80"} 1',
    ),
    ("listener.admin.downstream_cx_total", "listener_admin_downstream_cx_total{} 1"),
    ("listener_manager.workers_started", "listener_manager_workers_started{} 1"),
    # Envoy ends the next two at their first dot.
    (
        "cluster.api.example.org.upstream_cx_total",
        'cluster_upstream_cx_total{envoy_cluster_name="api.example.org"} 1',
    ),
    (
        "listener./run/web.sock.downstream_cx_total",
        'listener_downstream_cx_total{envoy_listener_address="/run/web.sock"} 1',
    ),
    ('tcp.a"b\\c.idle_timeout', 'tcp_idle_timeout{envoy_tcp_prefix="a\\"b\\\\c"} 1'),
]


@pytest.mark.parametrize(("name", "line"), NAMES)
def test_names_become_metrics_with_labels(name: str, line: str) -> None:
    assert series(name).line("", 1) == f"envoy_{line}\n"


def test_the_whole() -> None:
    """A85."""
    snapshot = Snapshot(
        counters={
            "http.b.downstream_rq_4xx": 4,
            "http.b.downstream_rq_2xx": 2,
            "http.a.downstream_rq_2xx": 1,
            "http.a.downstream_cx_total": 2**60 + 1,
        },
        gauges={"server.live": 1},
        hidden={"cluster.a.host.1.cx_total": 1},
    )
    assert render_prometheus(snapshot) == (
        "# TYPE envoy_http_downstream_cx_total counter\n"
        'envoy_http_downstream_cx_total{envoy_http_conn_manager_prefix="a"} 1152921504606846977\n'
        "# TYPE envoy_http_downstream_rq_xx counter\n"
        'envoy_http_downstream_rq_xx{envoy_response_code_class="2",'
        'envoy_http_conn_manager_prefix="a"} 1\n'
        'envoy_http_downstream_rq_xx{envoy_response_code_class="2",'
        'envoy_http_conn_manager_prefix="b"} 2\n'
        'envoy_http_downstream_rq_xx{envoy_response_code_class="4",'
        'envoy_http_conn_manager_prefix="b"} 4\n'
        "# TYPE envoy_server_live gauge\n"
        "envoy_server_live{} 1\n"
    )


def test_a_histogram_has_cumulative_buckets_a_sum_and_a_count(
    distribution: Callable[..., Distribution],
) -> None:
    """A85."""
    found = distribution(0, 1, 3.5, 5_000_000)
    lines = render_prometheus(Snapshot(histograms={"http.a.rq_time": found})).splitlines()
    label = 'envoy_http_conn_manager_prefix="a"'
    assert lines[0] == "# TYPE envoy_http_rq_time histogram"
    assert lines[1:4] == [
        f'envoy_http_rq_time_bucket{{{label},le="0.5"}} 1',
        f'envoy_http_rq_time_bucket{{{label},le="1"}} 2',
        f'envoy_http_rq_time_bucket{{{label},le="5"}} 3',
    ]
    assert lines[-4:] == [
        f'envoy_http_rq_time_bucket{{{label},le="3600000"}} 3',
        f'envoy_http_rq_time_bucket{{{label},le="+Inf"}} 4',
        f"envoy_http_rq_time_sum{{{label}}} 5000004.5",
        f"envoy_http_rq_time_count{{{label}}} 4",
    ]
