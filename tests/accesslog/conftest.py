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
    record = Record(1700000000.123, 10.0)
    record.request_received = 10.0011
    record.response_started = 10.012
    record.ended = 10.0151
    record.request = Request(
        headers=Headers([(b"user-agent", b"curl/8"), (b"x-a", b"1"), (b"x-a", b"2")])
    )
    record.response = Response(
        Headers([(b"server", b"app"), (b"x-envoy-upstream-service-time", b"11")])
    )
    record.protocol = "HTTP/1.1"
    record.status = 200
    record.details = "via_upstream"
    record.bytes_received = 7
    record.bytes_sent = 12
    record.route = "api"
    record.connection_id = 42
    record.downstream_remote = "192.0.2.7:50000"
    record.downstream_local = "[::1]:10000"
    record.server_name = "example.org"
    record.cluster = "app"
    record.upstream_host = "127.0.0.1:8080"
    record.upstream_local = "unix:/run/app.sock"
    record.attempts = 2
    return record


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
