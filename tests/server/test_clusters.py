from __future__ import annotations

import random
from typing import TYPE_CHECKING

import attrs
import pytest

from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.health_check import ActiveHealthCheck, TcpCheck
from trioproxy.config.outlier_detection import OutlierDetection
from trioproxy.config.tls import UpstreamTls
from trioproxy.server.as_child import Lineage
from trioproxy.server.clusters import open_clusters
from trioproxy.server.place import StartFailed
from trioproxy.upstream.member import FAILED_OUTLIER_CHECK
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from pathlib import Path

    from trioproxy.server.supervisor import Supervisor
    from trioproxy.stats.region import Region
    from trioproxy.stats.writer import Writer

A = "127.0.0.1:1"
FIRST = Lineage(0, 0.0)


def watched(**detection: object) -> Cluster:
    config = OutlierDetection(**detection)  # type: ignore[arg-type]
    return Cluster("app", (Endpoint(Address.parse(A)),), outlier_detection=config)


async def test_main_hears_what_workers_have_against_hosts(
    region: Region, writer: Writer, supervisor: Supervisor
) -> None:
    rng = random.Random(1)
    with open_clusters([watched()], region, writer, rng, supervisor, FIRST) as clusters:
        supervisor.accuse("app", A, EjectionType.CONSECUTIVE_5XX)
        (host,) = clusters.memberships["app"].members
        assert host.flags == (FAILED_OUTLIER_CHECK,)


async def test_tls_files_that_are_gone_since_they_were_verified_fail_the_start(
    region: Region, writer: Writer, supervisor: Supervisor, tmp_path: Path
) -> None:
    checks = (ActiveHealthCheck(tcp=TcpCheck()),)
    tls = UpstreamTls(trusted_ca=tmp_path / "missing.pem")
    cluster = attrs.evolve(watched(), health_checks=checks, tls=tls)
    with (
        pytest.raises(StartFailed, match=r"missing\.pem: No such file"),
        open_clusters([cluster], region, writer, random.Random(1), supervisor, FIRST),
    ):
        raise AssertionError("it did not notice")


async def test_an_event_log_that_cannot_be_opened_fails_the_start(
    region: Region, writer: Writer, supervisor: Supervisor, tmp_path: Path
) -> None:
    path = tmp_path / "missing" / "events.log"
    cluster = watched(event_log_path=path)
    with (
        pytest.raises(StartFailed, match=rf"cannot open {path}: No such file"),
        open_clusters([cluster], region, writer, random.Random(1), supervisor, FIRST),
    ):
        raise AssertionError("it did not notice")
