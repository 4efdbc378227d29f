"""`/clusters`: limits from the configuration, hosts' figures summed over the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from trioproxy.clusters.success_rates import Comparison
from trioproxy.config.outlier_detection import OutlierDetection
from trioproxy.stats.upstream import HostStats
from trioproxy.upstream.member import (
    DEGRADED_EDS_HEALTH,
    FAILED_ACTIVE_HC,
    FAILED_EDS_HEALTH,
    FAILED_OUTLIER_CHECK,
    Member,
    Place,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from admin.conftest import FakeInstance
    from trioproxy.clusters.membership import Membership
    from trioproxy.stats.region import Region
    from trioproxy.stats.writer import Writer


@pytest.fixture(autouse=True)
def traffic(worker: Writer, region: Region) -> Iterator[None]:
    """What two workers have counted for one host, and one of them for another."""
    with region.claim(3, 1) as other:
        for writer in (worker, other):
            host = HostStats(writer, "app", "127.0.0.1:8080")
            host.cx_total.add(4)
            host.cx_active.add(3)
        HostStats(worker, "pg", "unix:/run/pg.sock").rq_error.add(9)
        yield


async def test_text(client: httpx.AsyncClient) -> None:
    """A85."""
    lines = (await client.get("/clusters")).text.splitlines()
    assert lines[:6] == [
        "app::observability_name::app",
        "app::default_priority::max_connections::7",
        "app::default_priority::max_pending_requests::1024",
        "app::default_priority::max_requests::1024",
        "app::default_priority::max_retries::3",
        "app::added_via_api::false",
    ]
    host = "app::127.0.0.1:8080"
    assert [line for line in lines if line.startswith(host)] == [
        f"{host}::cx_active::6",
        f"{host}::cx_connect_fail::0",
        f"{host}::cx_total::8",
        f"{host}::rq_active::0",
        f"{host}::rq_error::0",
        f"{host}::rq_success::0",
        f"{host}::rq_timeout::0",
        f"{host}::rq_total::0",
        f"{host}::hostname::",
        f"{host}::health_flags::healthy",
        f"{host}::weight::1",
        f"{host}::region::",
        f"{host}::zone::",
        f"{host}::sub_zone::",
        f"{host}::canary::false",
        f"{host}::priority::0",
        f"{host}::success_rate::-1",
        f"{host}::local_origin_success_rate::-1",
    ]
    assert "app::127.0.0.1:8081::weight::2" in lines
    assert "pg::/run/pg.sock::rq_error::9" in lines


async def test_json(client: httpx.AsyncClient) -> None:
    """A85: zeros are left out, numbers of 64 bits are texts."""
    app, pg = (await client.get("/clusters?format=json")).json()["cluster_statuses"]
    assert app["name"] == app["observability_name"] == "app"
    assert app["circuit_breakers"]["thresholds"] == [
        {
            "max_connections": 7,
            "max_pending_requests": 1024,
            "max_requests": 1024,
            "max_retries": 3,
        }
    ]
    assert app["host_statuses"][0] == {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 8080}},
        "stats": [
            {"name": "cx_connect_fail"},
            {"value": "8", "name": "cx_total"},
            {"name": "rq_error"},
            {"name": "rq_success"},
            {"name": "rq_timeout"},
            {"name": "rq_total"},
            {"type": "GAUGE", "value": "6", "name": "cx_active"},
            {"type": "GAUGE", "name": "rq_active"},
        ],
        "health_status": {"eds_health_status": "HEALTHY"},
        "weight": 1,
        "locality": {},
    }
    assert pg["host_statuses"][0]["address"] == {"pipe": {"path": "/run/pg.sock"}}


@pytest.fixture
def flawed(instance: FakeInstance) -> Membership:
    """A cluster with hosts that are not as they should be, whose list can no longer be read."""
    app = instance.memberships["app"]
    place = Place("eu-west-1", "b", weight=7)
    app.replace(
        [
            Member("10.0.0.1:80", 3, "app-1", priority=1, locality=place),
            Member("[::1]:80", flags=(DEGRADED_EDS_HEALTH,)),
            Member("10.0.0.3:80", flags=(FAILED_EDS_HEALTH,)),
        ]
    )
    app.mark("10.0.0.1:80", FAILED_ACTIVE_HC, "timeout")
    app.mark("10.0.0.1:80", FAILED_OUTLIER_CHECK, "5 consecutive 5xx")
    app.fail("app.yaml:3:1: expected an address")
    app.success_rates = Comparison({"10.0.0.1:80": 87.5})
    app.local_success_rates = Comparison({"10.0.0.1:80": 100.0})
    return app


async def test_hosts_that_were_found(client: httpx.AsyncClient, flawed: Membership) -> None:
    """A85."""
    lines = (await client.get("/clusters?filter=app")).text.splitlines()
    host = "app::10.0.0.1:80"
    assert {
        "app::discovery_failure::app.yaml:3:1: expected an address",
        f"{host}::hostname::app-1",
        f"{host}::health_flags::/failed_active_hc/failed_outlier_check",
        f"{host}::weight::3",
        f"{host}::region::eu-west-1",
        f"{host}::zone::b",
        f"{host}::priority::1",
        f"{host}::success_rate::87.5",
        f"{host}::local_origin_success_rate::100",
        "app::[::1]:80::health_flags::/degraded_eds_health",
        "app::10.0.0.3:80::health_flags::/failed_eds_health",
    } <= set(lines)
    assert not any("127.0.0.1:8081" in line for line in lines)


async def test_a_host_that_left_is_there_while_it_has_connections(
    client: httpx.AsyncClient, instance: FakeInstance
) -> None:
    instance.memberships["app"].replace([Member("127.0.0.1:8089")])
    lines = (await client.get("/clusters?filter=app")).text.splitlines()
    hosts = {line.split("::")[1]: line for line in lines if "::health_flags::" in line}
    assert hosts == {
        "127.0.0.1:8089": "app::127.0.0.1:8089::health_flags::healthy",
        "127.0.0.1:8080": "app::127.0.0.1:8080::health_flags::/pending_dynamic_removal",
    }
    assert "app::127.0.0.1:8080::cx_active::6" in lines


async def test_hosts_that_were_found_as_json(client: httpx.AsyncClient, flawed: Membership) -> None:
    """A85."""
    answer = await client.get("/clusters?filter=app&format=json")
    (app,) = answer.json()["cluster_statuses"]
    assert app["discovery_failure"] == "app.yaml:3:1: expected an address"
    first, second, third, leaving = app["host_statuses"]
    assert leaving["health_status"]["pending_dynamic_removal"] is True
    assert (
        first.items()
        >= {
            "hostname": "app-1",
            "priority": 1,
            "weight": 3,
            "locality": {"region": "eu-west-1", "zone": "b"},
        }.items()
    )
    assert first["health_status"] == {
        "failed_active_health_check": True,
        "failed_outlier_check": True,
        "eds_health_status": "HEALTHY",
    }
    assert second["health_status"] == {"eds_health_status": "DEGRADED"}
    assert third["health_status"] == {"eds_health_status": "UNHEALTHY"}


@pytest.mark.parametrize("format", ["text", "json"])
async def test_filter(client: httpx.AsyncClient, format: str) -> None:  # noqa: A002
    text = (await client.get(f"/clusters?filter=^p&format={format}")).text
    assert "pg" in text
    assert "app" not in text


@pytest.fixture
def compared(instance: FakeInstance) -> Membership:
    """A cluster where outliers are looked for, one of whose hosts had requests enough."""
    app = instance.memberships["app"]
    app.config = attrs.evolve(app.config, outlier_detection=OutlierDetection())
    app.success_rates = Comparison({"127.0.0.1:8080": 99.5}, mean=97.25, least=90.0)
    return app


async def test_how_hosts_compare(client: httpx.AsyncClient, compared: Membership) -> None:
    """A85."""
    lines = (await client.get("/clusters?filter=app")).text.splitlines()
    assert lines[1:5] == [
        "app::outlier::success_rate_average::97.25",
        "app::outlier::local_origin_success_rate_average::-1",
        "app::outlier::success_rate_ejection_threshold::90",
        "app::outlier::local_origin_success_rate_ejection_threshold::-1",
    ]
    assert "app::127.0.0.1:8080::success_rate::99.5" in lines
    assert "app::127.0.0.1:8081::success_rate::-1" in lines


async def test_how_hosts_compare_in_json(client: httpx.AsyncClient, compared: Membership) -> None:
    """A85: what was not measured is left out."""
    (app,) = (await client.get("/clusters?format=json&filter=app")).json()["cluster_statuses"]
    assert app["success_rate_ejection_threshold"] == {"value": 90.0}
    assert "local_origin_success_rate_ejection_threshold" not in app
    one, other = app["host_statuses"]
    assert one["success_rate"] == {"value": 99.5}
    assert "local_origin_success_rate" not in one
    assert "success_rate" not in other
