from __future__ import annotations

from typing import TYPE_CHECKING

from planes import open_proxy

from trioproxy.filters.http.health_check import HealthCheck
from trioproxy.filters.testing import Client, Upstream, ask, exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.filters.http.tools import HttpTools


async def test_it_answers_its_path_and_forwards_the_rest(http_tools: HttpTools) -> None:
    check, upstream = HealthCheck().prepare(http_tools), Upstream(b"an app", status=201)
    healthy = await ask(check, upstream, path="/healthz?from=lb")
    assert (healthy.status, healthy.body, upstream.was_asked) == (200, b"", False)
    assert (await ask(check, upstream, path="/healthz/deep")).status == 201


async def test_the_operator_can_have_it_fail(
    http_tools: HttpTools, counted: Callable[[str], int]
) -> None:
    check, client = HealthCheck(path="/ok").prepare(http_tools), Client()
    http_tools.worker.health.failed = True
    asked = exchange(client, path="/ok")
    await check(asked, Upstream())
    assert (client.status, asked.record.flags) == (503, "LH")
    http_tools.worker.health.failed = False
    assert (await ask(check, path="/ok")).status == 200
    scope = "http.web.health_check"
    assert [counted(f"{scope}.{name}") for name in ("request_total", "ok", "failed")] == [2, 1, 1]


async def test_in_a_proxy() -> None:
    async with open_proxy(
        """
        listeners:
        - name: web
          address: 127.0.0.1:0
          filters:
          - http_connection_manager:
              stat_prefix: web
              routes: [{match: {prefix: /}, direct_response: {status: 404}}]
              http_filters: [{health_check: {path: /ready}}, {router: {}}]
        """
    ) as proxy:
        assert (await proxy.ask("GET /ready HTTP/1.1\r\nhost: x\r\n")).startswith("HTTP/1.1 200")
        assert (await proxy.ask()).startswith("HTTP/1.1 404")
        assert proxy.counter("http.web.health_check.ok") == 1
