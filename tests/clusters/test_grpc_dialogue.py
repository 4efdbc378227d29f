"""Asking real services of gRPC for their health; and what else may answer."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_peers import NOT_SERVING, SERVICE, Health, service

from trioproxy.clusters.connecting import Connector
from trioproxy.clusters.grpc_dialogue import (
    GrpcDialogue,
    frame,
    judge,
    read_answer,
    unframe,
    write_question,
)
from trioproxy.clusters.http2_line import Answer
from trioproxy.clusters.probe import CheckFailed, Failure, Probe
from trioproxy.codec.messages import Response
from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.health_check import ActiveHealthCheck, GrpcCheck
from trioproxy.config.tls import UpstreamTls
from trioproxy.headers import Headers

if TYPE_CHECKING:
    from certificates import Authority

GRPC = Headers([(b"content-type", b"application/grpc")])
FINE = Headers([(b"grpc-status", b"0")])


def probe(
    port: int, name: str = "", tls: UpstreamTls | None = None, timeout: float = 10.0
) -> closing[Probe]:
    place = Address.parse(f"127.0.0.1:{port}")
    asked = GrpcCheck(name)
    check = ActiveHealthCheck(grpc=asked, timeout=timeout)
    cluster = Cluster("app", (Endpoint(place),), tls=tls, protocol="http2", health_checks=(check,))
    connect = partial(Connector(cluster).connect, name="app.example")
    return closing(Probe(place, check, GrpcDialogue(asked, cluster), connect))


async def failure(port: int, name: str = "") -> CheckFailed:
    with probe(port, name) as probing, pytest.raises(CheckFailed) as failed:
        await probing.check()
    return failed.value


@pytest.mark.parametrize("name", ["", SERVICE])
async def test_a_service_that_serves(name: str) -> None:
    """Its connection is kept."""
    health = Health()
    with service(health) as port, probe(port, name) as probing:
        for _ in range(3):
            await probing.check()
    assert {asked for asked, _ in health.asked} == {name.encode()}
    assert len(health.asked) == 3
    assert len({peer for _, peer in health.asked}) == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [(NOT_SERVING, "NOT_SERVING"), (0, "UNKNOWN"), (9, "serving status 9")],
)
async def test_a_service_that_does_not(status: int, reason: str) -> None:
    """It is believed at once."""
    health = Health()
    health.statuses[b""] = status
    with service(health) as port:
        failed = await failure(port)
    assert (str(failed), failed.kind, failed.decisive) == (reason, Failure.ACTIVE, True)


async def test_a_service_that_nobody_knows() -> None:
    with service(Health()) as port:
        assert str(await failure(port, "none")) == "grpc-status 5 unknown service"


async def test_a_server_without_the_health_service() -> None:
    with service() as port:
        assert str(await failure(port)).startswith("grpc-status 12 ")


async def test_it_recovers() -> None:
    health = Health()
    health.statuses[b""] = NOT_SERVING
    with service(health) as port, probe(port) as probing:
        with pytest.raises(CheckFailed):
            await probing.check()
        health.statuses[b""] = 1
        await probing.check()


async def test_over_tls(authority: Authority) -> None:
    pair = authority.issue("app.example")
    files = pair.private_key.read_bytes(), pair.certificate.read_bytes()
    tls = UpstreamTls(trusted_ca=authority.path)
    health = Health()
    with (
        service(health, grpc.ssl_server_credentials([files])) as port,
        probe(port, SERVICE, tls) as probing,
    ):
        await probing.check()
        await probing.check()
    assert len({peer for _, peer in health.asked}) == 1


def answered(body: bytes, trailers: Headers = FINE, head: Headers = GRPC) -> Answer:
    return Answer(Response(status=200, headers=head), body, trailers, ended=True)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answered(b"", head=Headers()), "no answer of gRPC"),
        (answered(b"x" * 100_000), "an answer that is too long"),
        (answered(frame(b"\x08\x01"), Headers()), "grpc-status missing"),
        (answered(b""), "not a HealthCheckResponse"),
        (answered(b"\1" + frame(b"\x08\x01")[1:]), "not a HealthCheckResponse"),
        (answered(frame(b"\x08\x01") * 2), "not a HealthCheckResponse"),
        (answered(frame(b"\x08")), "not a HealthCheckResponse"),
        (answered(frame(b"\x12\x05")), "not a HealthCheckResponse"),
        (answered(frame(b"\xff" * 11)), "not a HealthCheckResponse"),
    ],
)
def test_answers_that_make_no_sense(answer: Answer, reason: str) -> None:
    with pytest.raises(CheckFailed) as failed:
        judge(answer)
    assert str(failed.value) == reason


def test_a_status_in_the_head_counts() -> None:
    head = Headers([*GRPC.fields, (b"grpc-status", b"14")])
    with pytest.raises(CheckFailed, match="grpc-status 14"):
        judge(answered(b"", Headers(), head))


def test_messages() -> None:
    assert write_question("") == b""
    assert write_question("é") == b"\x0a\x02\xc3\xa9"
    assert write_question("x" * 300)[:3] == b"\x0a\xac\x02"
    assert unframe(frame(b"abc")) == b"abc"
    assert read_answer(b"") == 0
    assert read_answer(b"\x08\x01") == 1
    # Fields that nobody knows yet are passed over.
    assert read_answer(b"\x12\x01x\x08\x03\x1d1234\x2112345678\x30\x96\x01") == 3
