from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from trioproxy.accesslog.record import Record
from trioproxy.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Callable


@attrs.define
class Request:
    method: str = "GET"
    path: str = "/v1/thing?x=1"
    authority: str = "example.org"
    scheme: str = "https"
    headers: Headers = attrs.Factory(Headers)


@attrs.define
class Response:
    headers: Headers = attrs.Factory(Headers)


@pytest.fixture
def record() -> Record:
    """An exchange that went well: 2023-11-14T22:13:20.123Z, 15 ms."""
    return Record(
        1700000000.123,
        10.0,
        request_received=10.0011,
        response_started=10.012,
        ended=10.0151,
        request=Request(
            headers=Headers([(b"user-agent", b"curl/8"), (b"x-a", b"1"), (b"x-a", b"2")])
        ),
        response=Response(
            Headers([(b"server", b"app"), (b"x-envoy-upstream-service-time", b"11")])
        ),
        protocol="HTTP/1.1",
        status=200,
        details="via_upstream",
        bytes_received=7,
        bytes_sent=12,
        route="api",
        connection_id=42,
        downstream_remote="192.0.2.7:50000",
        downstream_local="[::1]:10000",
        server_name="example.org",
        cluster="app",
        upstream_host="127.0.0.1:8080",
        upstream_local="unix:/run/app.sock",
        attempts=2,
    )


@pytest.fixture
def asking(record: Record) -> Callable[..., Record]:
    """The same exchange for another request line and other header fields."""

    def ask(path: str = "/", **fields: bytes) -> Record:
        headers = Headers(
            [(name.replace("_", "-").encode(), text) for name, text in fields.items()]
        )
        record.request = Request(path=path, headers=headers)
        return record

    return ask
