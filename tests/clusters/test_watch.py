from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from trioproxy.clusters.changes import Changes
from trioproxy.clusters.grpc_dialogue import GrpcDialogue
from trioproxy.clusters.http2_dialogue import AgreedDialogue, Http2Dialogue
from trioproxy.clusters.http_dialogue import HttpDialogue
from trioproxy.clusters.membership import Membership
from trioproxy.clusters.tcp_dialogue import TcpDialogue
from trioproxy.clusters.watch import Watch, dialogue
from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.health_check import ActiveHealthCheck, GrpcCheck, HttpCheck, TcpCheck
from trioproxy.config.outlier_detection import OutlierDetection
from trioproxy.config.tls import UpstreamTls
from trioproxy.upstream.member import FAILED_OUTLIER_CHECK
from trioproxy.upstream.monitor import EjectionType

if TYPE_CHECKING:
    from pathlib import Path

    from trioproxy.clusters.watch import WatchTools

A = "127.0.0.1:1"
PLAIN = Cluster("app", (Endpoint(Address.parse(A)),))
HTTP = ActiveHealthCheck(http=HttpCheck("/"))
GRPC = ActiveHealthCheck(grpc=GrpcCheck())
TCP = ActiveHealthCheck(tcp=TcpCheck())


def watch(cluster: Cluster, tools: WatchTools) -> tuple[Membership, Watch]:
    membership = Membership(cluster, tools.writer, Changes())
    return membership, Watch(membership, tools)


def test_there_is_nothing_to_do_where_nothing_is_asked_for(tools: WatchTools) -> None:
    _, idle = watch(PLAIN, tools)
    assert idle.jobs == []
    assert idle.outliers is None


def test_each_kind_of_watch_is_a_job(tools: WatchTools) -> None:
    both = attrs.evolve(PLAIN, health_checks=(HTTP,), outlier_detection=OutlierDetection())
    assert len(watch(both, tools)[1].jobs) == 2


async def test_accusations_lead_to_ejections(tools: WatchTools) -> None:
    membership, watching = watch(attrs.evolve(PLAIN, outlier_detection=OutlierDetection()), tools)
    assert watching.outliers
    watching.outliers.accuse(A, EjectionType.CONSECUTIVE_5XX)
    assert [each.flags for each in membership.members] == [(FAILED_OUTLIER_CHECK,)]


def test_hosts_are_asked_in_the_way_that_was_chosen() -> None:
    assert isinstance(dialogue(HTTP, PLAIN), HttpDialogue)
    assert isinstance(dialogue(TCP, PLAIN), TcpDialogue)
    prior = attrs.evolve(PLAIN, protocol="http2")
    assert isinstance(dialogue(HTTP, prior), Http2Dialogue)
    assert isinstance(dialogue(GRPC, prior), GrpcDialogue)
    agreeing = attrs.evolve(PLAIN, protocol="auto", tls=UpstreamTls(verify_server=False))
    assert isinstance(dialogue(HTTP, agreeing), AgreedDialogue)


@pytest.mark.parametrize("part", ["health_checks", "outlier_detection"])
def test_a_log_that_cannot_be_opened(tools: WatchTools, tmp_path: Path, part: str) -> None:
    path = tmp_path / "missing" / "events.log"
    parts: dict[str, object] = {
        "health_checks": (attrs.evolve(TCP, event_log_path=path),),
        "outlier_detection": OutlierDetection(event_log_path=path),
    }
    with pytest.raises(FileNotFoundError):
        watch(attrs.evolve(PLAIN, **{part: parts[part]}), tools)  # type: ignore[arg-type]


def test_tls_files_that_will_not_do(tools: WatchTools, tmp_path: Path) -> None:
    tls = UpstreamTls(trusted_ca=tmp_path / "missing.pem")
    with pytest.raises(ValueError, match=r"missing\.pem: No such file"):
        watch(attrs.evolve(PLAIN, health_checks=(TCP,), tls=tls), tools)
