from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from planes import open_proxy, open_upstream, say

from trioproxy.config.marks import Invalid
from trioproxy.config.route import HeaderMatch
from trioproxy.filters.http.fault import Fault, FaultAbort, FaultDelay
from trioproxy.filters.testing import Client, Upstream, ask, exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.filters.http.tools import HttpTools


async def test_a_delayed_request_arrives_late(
    http_tools: HttpTools,
    counted: Callable[[str], int],
    autojump_clock: trio.testing.MockClock,
) -> None:
    fault = Fault(delay=FaultDelay(fixed_delay=5.0)).prepare(http_tools)
    begun = trio.current_time()
    assert (await ask(fault)).status == 200
    assert trio.current_time() - begun == 5.0
    assert counted("http.web.fault.delays_injected") == 1
    assert counted("http.web.fault.aborts_injected") == 0


async def test_an_aborted_request_goes_nowhere(
    http_tools: HttpTools, counted: Callable[[str], int]
) -> None:
    fault, upstream = Fault(abort=FaultAbort(http_status=418)).prepare(http_tools), Upstream()
    client = await ask(fault, upstream)
    assert (client.status, client.body) == (418, b"fault filter abort\n")
    assert not upstream.was_asked
    assert counted("http.web.fault.aborts_injected") == 1


async def test_a_request_may_be_both_and_the_log_says_so(
    http_tools: HttpTools, autojump_clock: trio.testing.MockClock
) -> None:
    fault = Fault(delay=FaultDelay(1.0), abort=FaultAbort(503)).prepare(http_tools)
    client, begun = Client(), trio.current_time()
    asked = exchange(client)
    await fault(asked, Upstream())
    assert trio.current_time() - begun == 1.0
    assert (client.status, asked.record.flags) == (503, "DI,FI")
    assert asked.record.details == "fault_filter_abort"


async def test_as_many_as_the_percentage_says(http_tools: HttpTools) -> None:
    fault = Fault(abort=FaultAbort(http_status=500, percentage=0.25)).prepare(http_tools)
    statuses = [(await ask(fault)).status for _ in range(400)]
    assert 70 <= statuses.count(500) <= 130


@pytest.mark.parametrize(("percentage", "status"), [(0.0, 200), (1.0, 500)])
async def test_none_and_all_are_exact(
    http_tools: HttpTools, percentage: float, status: int
) -> None:
    fault = Fault(abort=FaultAbort(http_status=500, percentage=percentage)).prepare(http_tools)
    assert {(await ask(fault)).status for _ in range(100)} == {status}


async def test_only_requests_with_the_headers(http_tools: HttpTools) -> None:
    config = Fault(abort=FaultAbort(500), headers=(HeaderMatch("x-chaos", exact="yes"),))
    fault = config.prepare(http_tools)
    assert (await ask(fault)).status == 200
    assert (await ask(fault, headers={"x-chaos": "yes"})).status == 500


async def test_no_more_than_the_most_at_one_time(
    http_tools: HttpTools,
    counted: Callable[[str], int],
    autojump_clock: trio.testing.MockClock,
) -> None:
    fault = Fault(delay=FaultDelay(5.0), max_active_faults=1).prepare(http_tools)
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, fault)
        await trio.testing.wait_all_tasks_blocked()
        assert counted("http.web.fault.active_faults") == 1
        await ask(fault)
        assert trio.current_time() == begun
    assert counted("http.web.fault.faults_overflow") == 1
    assert counted("http.web.fault.active_faults") == 0


async def test_a_client_that_leaves_does_not_wait_to_the_end(
    http_tools: HttpTools, autojump_clock: trio.testing.MockClock
) -> None:
    fault = Fault(delay=FaultDelay(3600.0)).prepare(http_tools)
    asked, upstream, begun = exchange(Client()), Upstream(), trio.current_time()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def leave() -> None:
            await trio.sleep(10)
            asked.connection.lifetime.abandon()

        with asked.connection.lifetime:
            await fault(asked, upstream)
    assert trio.current_time() - begun == 10
    assert not upstream.was_asked


def test_a_fault_that_is_none_is_refused() -> None:
    with pytest.raises(Invalid, match="expected delay or abort"):
        Fault()


async def test_in_a_proxy() -> None:
    async def handler(stream: trio.SocketStream, _head: str, _body: bytes) -> None:
        await say(stream, "fine")

    config = """
        listeners:
        - name: web
          address: 127.0.0.1:0
          filters:
          - http_connection_manager:
              stat_prefix: web
              routes: [{match: {prefix: /}, route: {cluster: app}}]
              http_filters:
              - fault:
                  headers: [{name: x-chaos}]
                  delay: {fixed_delay: 1ms}
                  abort: {http_status: 503, percentage: 100%}
              - router: {}
        clusters: [{name: app, endpoints: [127.0.0.1:1]}]
    """
    async with open_upstream(handler) as port, open_proxy(config, {"app": port}) as proxy:
        assert (await proxy.ask()).endswith("fine")
        broken = await proxy.ask("GET / HTTP/1.1\r\nhost: x\r\nx-chaos: 1\r\n")
        assert broken.startswith("HTTP/1.1 503 Service Unavailable")
        assert proxy.counter("http.web.fault.delays_injected") == 1
        assert proxy.counter("http.web.fault.aborts_injected") == 1
