"""Tries that overlap: whose answer is taken, and what becomes of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from serving import http

from trioproxy.config.marks import Invalid
from trioproxy.config.retry import Retry

if TYPE_CHECKING:
    from serving import Proxy, Serving

TWO = "$origin, $origin2"
ASK = "client >> GET / HTTP/1.1 | host: a |"
NO_CONTENT = "HTTP/1.1 204 No Content |"
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
BUSY = "HTTP/1.1 503 Busy | content-length: 0 |"


def hedged(on: str = "5xx", more: str = "", after: str = "50ms") -> str:
    return (
        f"retry: {{on: [{on}], per_try_timeout: {after}, hedge_on_per_try_timeout: true,"
        f" backoff: {{base: 1ms, max: 1ms}}, {more}}},"
    )


async def contenders(proxy: Proxy) -> tuple[str, str]:
    """Have both upstreams hear the request; returns who heard it first, and the other."""
    order: list[str] = []

    async def hear(name: str) -> None:
        party = await proxy.party(name)
        order.append(name)
        await party.exactly(len(REQUEST))

    await proxy.play(ASK)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hear, "origin")
        nursery.start_soon(hear, "origin2")
    return order[0], order[1]


async def test_the_second_try_answers_first(serving: Serving) -> None:
    async with serving(http(route=hedged(), endpoints=TWO)) as proxy:
        first, second = await contenders(proxy)
        await proxy.play(
            f"""
            {second} >> {NO_CONTENT}
            client << {NO_CONTENT}
            {first} << (reset)
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_per_try_timeout") == 1
        assert proxy.counter("cluster.app.upstream_rq_retry") == 1
        assert proxy.counter("cluster.app.upstream_rq_retry_success") == 1
    [line] = proxy.log
    assert (line["status"], line["attempts"]) == (204, 2)
    assert line["host"] == proxy.upstreams[second].name


async def test_the_first_try_answers_after_all(serving: Serving) -> None:
    async with serving(http(route=hedged(), endpoints=TWO)) as proxy:
        first, second = await contenders(proxy)
        await proxy.play(
            f"""
            {first} >> {NO_CONTENT}
            client << {NO_CONTENT}
            {second} << (reset)
            """
        )
    assert proxy.log[0]["host"] == proxy.upstreams[first].name


async def test_nothing_is_hedged_that_is_answered_in_time(serving: Serving) -> None:
    async with serving(http(route=hedged(more="attempts: 5", after="10s"))) as proxy:
        await proxy.play(
            f"""
            {ASK}
            origin << GET / HTTP/1.1 | host: a |
            origin >> {NO_CONTENT}
            client << {NO_CONTENT}
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_total") == 1


async def test_a_bad_answer_is_dropped_while_another_may_come(serving: Serving) -> None:
    async with serving(http(route=hedged(), endpoints=TWO)) as proxy:
        first, second = await contenders(proxy)
        await proxy.play(f"{second} >> {BUSY}")
        await proxy.until("cluster.app.upstream_rq_active", 1)
        await proxy.play(f"{first} >> {NO_CONTENT} \n client << {NO_CONTENT}")


async def test_a_failure_waits_for_the_other_try(serving: Serving) -> None:
    async with serving(http(route=hedged(), endpoints=TWO)) as proxy:
        first, second = await contenders(proxy)
        await proxy.play(f"{first} >> (reset)")
        await proxy.until("cluster.app.upstream_rq_active", 1)
        await proxy.play(f"{second} >> {NO_CONTENT} \n client << {NO_CONTENT}")


async def test_the_last_one_is_made_again(serving: Serving) -> None:
    async with serving(http(route=hedged(more="attempts: 2"), endpoints=TWO)) as proxy:
        first, second = await contenders(proxy)
        # Both have been tried then: either may be asked again, on the connection that it kept.
        async with trio.open_nursery() as nursery:
            for name in (first, second):
                nursery.start_soon(recover, proxy, name)
            await proxy.play(f"client << {NO_CONTENT}")
            nursery.cancel_scope.cancel()
        assert proxy.counter("cluster.app.upstream_rq_retry") == 2


async def recover(proxy: Proxy, name: str) -> None:
    """Be busy for one request, and answer another."""
    party = await proxy.party(name)
    await party.say(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
    await party.exactly(len(REQUEST))
    await party.say(b"HTTP/1.1 204 No Content\r\n\r\n")


async def test_what_all_have_to_say_is_bad(serving: Serving) -> None:
    async with serving(http(route=hedged(), endpoints=TWO)) as proxy:
        first, second = await contenders(proxy)
        await proxy.play(f"{first} >> {BUSY}")
        await proxy.until("cluster.app.upstream_rq_active", 1)
        await proxy.play(f"{second} >> {BUSY} \n client << {BUSY}")
        assert proxy.counter("cluster.app.upstream_rq_retry_limit_exceeded") == 1


async def test_nobody_answers_within_the_route_timeout(serving: Serving) -> None:
    async with serving(http(route=hedged() + "timeout: 200ms", endpoints=TWO)) as proxy:
        first, second = await contenders(proxy)
        await proxy.play(
            f"""
            client << HTTP/1.1 504 Gateway Timeout | content-type: text/plain; charset=utf-8
            client << content-length: ... | | upstream request timeout\\n\\
            {first} << (reset)
            {second} << (reset)
            """
        )
    assert proxy.log[0]["flags"] == "UT"


async def test_a_client_that_leaves_ends_all_tries(serving: Serving) -> None:
    async with serving(http(route=hedged(), endpoints=TWO)) as proxy:
        first, second = await contenders(proxy)
        await proxy.play(
            f"""
            client >> (close)
            {first} << (reset)
            {second} << (reset)
            """
        )


async def test_a_request_that_is_still_coming_is_not_hedged(serving: Serving) -> None:
    async with serving(http(route=hedged(after="400ms"))) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 4 | | on\\
            origin << POST / HTTP/1.1 | host: a | content-length: 4 | | on\\
            """
        )
        await trio.sleep(0.5)
        await proxy.play(
            f"""
            client >> e!\\
            origin << e!\\
            origin >> {NO_CONTENT}
            client << {NO_CONTENT}
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_total") == 1


def test_hedging_needs_a_time() -> None:
    with pytest.raises(Invalid, match="expected a per_try_timeout, too"):
        Retry(("5xx",), hedge_on_per_try_timeout=True)
