from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.config.address import Address
from trioproxy.config.cluster import Cluster
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.health_check import (
    ActiveHealthCheck,
    HttpCheck,
    Payload,
    StatusRange,
    TcpCheck,
)
from trioproxy.config.loader import load
from trioproxy.config.marks import Invalid
from trioproxy.config.problems import ConfigError

if TYPE_CHECKING:
    from trioproxy.config.registry import Registry

CLUSTERS = "clusters: [{name: a, endpoints: ['127.0.0.1:80'], %s}]"


def read(check: str, registry: Registry) -> ActiveHealthCheck:
    config = load(None, CLUSTERS % f"health_checks: [{check}]", registry).config
    return config.clusters[0].health_checks[0]


def test_it_is_read_in_short_forms(registry: Registry) -> None:
    http = read("{http: {path: /up, expected_statuses: [204, {start: 300, end: 400}]}}", registry)
    assert http.http == HttpCheck(
        "/up", expected_statuses=(StatusRange(204), StatusRange(300, 400))
    )
    tcp = read(r'{tcp: {send: "PING\r\n", receive: [+PONG, {hex: 0d0a}]}}', registry)
    assert tcp.tcp == TcpCheck(Payload("PING\r\n"), (Payload("+PONG"), Payload(hex="0d0a")))


def test_what_is_sent_and_looked_for() -> None:
    assert Payload("PING\r\n").data == b"PING\r\n"
    assert Payload(hex="00 ff").data == b"\x00\xff"


@pytest.mark.parametrize(
    ("known", "status", "expected"),
    [
        (StatusRange(200), 200, True),
        (StatusRange(200), 201, False),
        (StatusRange(200, 300), 299, True),
        (StatusRange(200, 300), 300, False),
        (StatusRange(200, 300), 199, False),
    ],
)
def test_a_range_ends_before_its_end(known: StatusRange, status: int, expected: bool) -> None:
    assert (status in known) == expected


@pytest.mark.parametrize(
    ("check", "mistake"),
    [
        ("{}", "expected one of http, tcp"),
        ("{tcp: {}, http: {path: /}}", "http and tcp exclude each other"),
        ("{http: {path: /ü}}", "expected a path such as /healthz"),
        ("{http: {path: /, host: 'a b'}}", "expected a host such as app.example"),
        ('{tcp: {send: ""}}', "expected at least one byte"),
        ("{http: {path: up}}", "expected a path such as /healthz"),
        ("{tcp: {}, interval: 0s}", "interval is 0"),
        ("{tcp: {}, timeout: 0}", "timeout is 0"),
        ("{tcp: {send: {hex: abc}}}", "expected hexadecimal digits, found 'abc'"),
        ("{http: {path: /, expected_statuses: [{start: 300, end: 300}]}}", "no status is from 300"),
        ("{http: {path: /, headers: {Host: a}}}", "see `host`"),
        ("{http: {path: /, headers: {'a b': c}}}", "not a header field name"),
    ],
)
def test_what_cannot_be_meant_is_refused(check: str, mistake: str, registry: Registry) -> None:
    with pytest.raises(ConfigError) as caught:
        read(check, registry)
    assert mistake in str(caught.value)


def test_a_cluster_has_one_check() -> None:
    check = ActiveHealthCheck(tcp=TcpCheck())
    endpoints = (Endpoint(Address.parse("127.0.0.1:80")),)
    assert Cluster("a", endpoints, health_checks=(check,))
    with pytest.raises(Invalid, match="one health check at most"):
        Cluster("a", endpoints, health_checks=(check, check))


def test_a_name_that_is_no_host_needs_one() -> None:
    endpoints = (Endpoint(Address.parse("127.0.0.1:80")),)
    named = ActiveHealthCheck(http=HttpCheck("/", host="app"))
    assert Cluster("my app", endpoints, health_checks=(named,))
    with pytest.raises(Invalid, match="needs a host"):
        Cluster("my app", endpoints, health_checks=(ActiveHealthCheck(http=HttpCheck("/")),))
