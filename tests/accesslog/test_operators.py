from __future__ import annotations

import pytest

from trioproxy.accesslog.format import compile_value
from trioproxy.accesslog.operators import PLAIN, find_operator
from trioproxy.accesslog.origin import Origin
from trioproxy.accesslog.record import Record

ORIGIN = Origin(hostname="edge-1", epoch=3, worker=1)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("START_TIME", "2023-11-14T22:13:20.123Z"),
        ("START_TIME(%s)", "1700000000"),
        ("REQ(:METHOD)", "GET"),
        ("REQ(:PATH)", "/v1/thing?x=1"),
        ("REQ(:AUTHORITY)", "example.org"),
        ("REQ(:SCHEME)", "https"),
        ("REQ(Host)", "example.org"),
        ("REQ(USER-AGENT)", "curl/8"),
        ("REQ(X-A)", "1"),
        ("REQ(X-NONE)", ""),
        ("REQ(X-NONE?USER-AGENT)", "curl/8"),
        ("REQ(USER-AGENT?X-A)", "curl/8"),
        ("REQ(X-NONE?:PATH):3", "/v1"),
        ("REQ(USER-AGENT):100", "curl/8"),
        ("RESP(Server)", "app"),
        ("RESP(:STATUS)", "200"),
        ("PROTOCOL", "HTTP/1.1"),
        ("RESPONSE_CODE", "200"),
        ("RESPONSE_CODE_DETAILS", "via_upstream"),
        ("RESPONSE_FLAGS", ""),
        ("ROUTE_NAME", "api"),
        ("BYTES_RECEIVED", "7"),
        ("BYTES_SENT", "12"),
        ("DURATION", "15"),
        ("REQUEST_DURATION", "1"),
        ("RESPONSE_DURATION", "12"),
        ("RESPONSE_TX_DURATION", "3"),
        ("CONNECTION_ID", "42"),
        ("REQUESTED_SERVER_NAME", "example.org"),
        ("DOWNSTREAM_REMOTE_ADDRESS", "192.0.2.7:50000"),
        ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "192.0.2.7"),
        ("DOWNSTREAM_REMOTE_PORT", "50000"),
        ("DOWNSTREAM_LOCAL_ADDRESS", "[::1]:10000"),
        ("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "::1"),
        ("DOWNSTREAM_LOCAL_PORT", "10000"),
        ("UPSTREAM_CLUSTER", "app"),
        ("UPSTREAM_HOST", "127.0.0.1:8080"),
        ("UPSTREAM_REMOTE_ADDRESS", "127.0.0.1:8080"),
        ("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "127.0.0.1"),
        ("UPSTREAM_REMOTE_PORT", "8080"),
        ("UPSTREAM_LOCAL_ADDRESS", "unix:/run/app.sock"),
        ("UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "unix:/run/app.sock"),
        ("UPSTREAM_LOCAL_PORT", ""),
        ("UPSTREAM_TRANSPORT_FAILURE_REASON", ""),
        ("UPSTREAM_REQUEST_ATTEMPT_COUNT", "2"),
        ("HOSTNAME", "edge-1"),
        ("RESTART_EPOCH", "3"),
        ("WORKER", "1"),
    ],
)
def test_operator(record: Record, operator: str, expected: str) -> None:
    assert compile_value(f"%{operator}%", ORIGIN)(record) == expected


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_every_operator_has_an_answer_for_a_bare_tcp_connection(name: str) -> None:
    value = find_operator(name, None, ORIGIN)(Record(0.0, 0.0), {}, {})
    assert value in (None, 0)


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        ("RESPONSE_COD", "unknown operator %RESPONSE_COD%"),
        ("PROTOCOL(x)", "%PROTOCOL% takes no argument, found (x)"),
        ("REQ", "%REQ()% is not"),
        ("REQ()", "%REQ()% is not"),
        ("REQ(a?b?c)", "%REQ(a?b?c)% is not"),
        ("RESP(:path)", "no pseudo-header ':path'"),
        ("START_TIME(%Q)", "unknown directive %Q"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(operator: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_value(f"a %{operator}% b")
    assert message in str(caught.value)
