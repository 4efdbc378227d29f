"""Bodies of every framing and size, both ways, and answers that come before the request ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
from serving import http
from upstreams import answering

if TYPE_CHECKING:
    from dialogue import Peer
    from serving import Proxy, Serving

EDGES = [0, 1, 16_383, 16_384, 16_385, 32_767, 32_768, 65_535, 65_536, 65_537, 300_000]


def payload(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + bytes(size % 256)


@pytest.mark.parametrize("size", EDGES)
async def test_a_response_of_a_known_length(serving: Serving, size: int) -> None:
    body = payload(size)
    response = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (size, body)
    async with serving(http()) as proxy, proxy.origin.behaving(answering(response)):
        client = await proxy.connect()
        for _ in range(2):
            await client.say(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert await client.exactly(len(response)) == response
        await proxy.quiet()
        assert proxy.counter("http.web.downstream_cx_tx_bytes_total") == 2 * len(response)
        assert proxy.counter("cluster.app.upstream_cx_rx_bytes_total") == 2 * len(response)
        assert proxy.counter("cluster.app.upstream_cx_total") == 1
    assert [line["sent"] for line in proxy.log] == [size, size]


@pytest.mark.parametrize("size", EDGES)
async def test_a_request_of_a_known_length(serving: Serving, size: int) -> None:
    """All at once, so that nobody waits."""
    request = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size + payload(size)
    async with serving(http()) as proxy, trio.open_nursery() as nursery:
        client = await proxy.connect()
        nursery.start_soon(client.say, request)
        origin = await proxy.party("origin")
        assert await origin.exactly(len(request)) == request
        await proxy.play(
            """
            origin >> HTTP/1.1 204 No Content |
            """
        )
        assert await client.head() == b"HTTP/1.1 204 No Content\r\n\r\n"
        await proxy.quiet()
        assert proxy.counter("http.web.downstream_cx_rx_bytes_total") == len(request)
        assert proxy.counter("cluster.app.upstream_cx_tx_bytes_total") == len(request)
    assert proxy.log[0]["received"] == size


async def test_chunks_up_with_trailers(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await proxy.party("client")
        await client.say(
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
            b"3;ext=1\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 6\r\nhost: evil\r\n\r\n"
        )
        await proxy.play(
            """
            origin << POST / HTTP/1.1 | host: a | transfer-encoding: chunked |
            origin << 6 | onetwo | 0 | x-sum: 6 |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )
        assert proxy.counter("cluster.app.upstream_cx_total") == 1
    assert proxy.log[0]["received"] == 6


async def test_chunks_up_one_by_one(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | transfer-encoding: chunked |
            origin << POST / HTTP/1.1 | host: a | transfer-encoding: chunked |
            client >> 3;ext=1 | on\\
            origin << 2 | on
            client >> e\\
            origin << 1 | e
            client >> | 0 | x-sum: 3\\
            client >> |
            origin << 0 | x-sum: 3 |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )


async def test_chunks_down_with_trailers(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a | te: trailers | connection: te |
            origin << GET / HTTP/1.1 | host: a | connection: te | te: trailers |
            origin >> HTTP/1.1 200 OK | transfer-encoding: chunked |
            client << HTTP/1.1 200 OK | transfer-encoding: chunked |
            origin >> 5;x=y | hel\\
            client << 3 | hel
            origin >> lo | 0\\
            client << 2 | lo
            origin >> | x-sum: 5 |
            client << 0 | x-sum: 5 |
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )
    assert proxy.log[0]["sent"] == 5


async def test_chunks_up_are_counted_as_they_go_out(serving: Serving) -> None:
    async with serving(http()) as proxy:
        head = "POST / HTTP/1.1 | host: a | transfer-encoding: chunked |"
        await proxy.play(
            f"""
            client >> {head} | 3 | one | 0 |
            origin << {head} | 3 | one | 0 |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )
        sent = len("POST / HTTP/1.1__host: a__transfer-encoding: chunked____3__one__0____")
        assert proxy.counter("cluster.app.upstream_cx_tx_bytes_total") == sent


async def test_broken_chunks_with_the_head(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | transfer-encoding: chunked | | zz
            client << HTTP/1.1 400 Bad Request | content-type: ... | content-length: ...
            client << connection: close | | not a chunk size\\n\\
            client << (fin)
            """
        )
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(400, "DPE")]


async def test_broken_chunks_later(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | transfer-encoding: chunked | | 3 | one
            origin << POST / HTTP/1.1 | host: a | transfer-encoding: chunked | | 3 | one
            client >> zz
            client << HTTP/1.1 400 Bad Request | content-type: ... | content-length: ...
            client << connection: close | | not a chunk size\\n\\
            client << (fin)
            origin << (reset)
            """
        )


async def test_broken_chunks_down(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 200 OK | transfer-encoding: chunked | | 3 | one
            client << HTTP/1.1 200 OK | transfer-encoding: chunked | | 3 | one
            origin >> zz
            client << (reset)
            origin << (reset)
            """
        )
        assert proxy.counter("cluster.app.upstream_cx_protocol_error") == 1
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(200, "UPE")]


async def test_broken_chunks_to_a_direct_response(serving: Serving) -> None:
    routes = "{match: {prefix: /}, direct_response: {status: 200, body: hi}}"
    async with serving(http(routes=routes)) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | transfer-encoding: chunked | | zz
            client << HTTP/1.1 400 Bad Request | content-type: ... | content-length: ...
            client << connection: close | | not a chunk size\\n\\
            client << (fin)
            """
        )
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(400, "DPE")]


async def test_broken_chunks_of_an_upstream(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 200 OK | transfer-encoding: chunked | | 3 | one
            client << HTTP/1.1 200 OK | transfer-encoding: chunked | | 3 | one
            origin >> zz
            client << (reset)
            origin << (reset)
            """
        )
        assert proxy.counter("cluster.app.upstream_cx_protocol_error") == 1
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(200, "UPE")]


# 100-continue and other interim responses.


async def test_a_body_that_is_here_is_not_invited(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 2 | expect: 100-continue | | hi\\
            origin << POST / HTTP/1.1 | host: a | content-length: 2 | | hi\\
            origin >> HTTP/1.1 100 Continue | | HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )


async def test_a_body_is_invited(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 2 | expect: 100-continue |
            client << HTTP/1.1 100 Continue |
            client >> hi\\
            origin << POST / HTTP/1.1 | host: a | content-length: 2 | | hi\\
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )


async def test_nobody_is_invited_to_a_direct_response(serving: Serving) -> None:
    routes = "{match: {prefix: /}, direct_response: {status: 403}}"
    async with serving(http(routes=routes)) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 9 | expect: 100-continue |
            client << HTTP/1.1 403 Forbidden | content-length: 0 | connection: close |
            client << (fin)
            """
        )


async def test_a_client_that_waits_and_an_upstream_that_refuses(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 9 | expect: 100-continue |
            client << HTTP/1.1 100 Continue |
            origin << POST / HTTP/1.1 | host: a | content-length: 9 |
            origin >> HTTP/1.1 403 Forbidden | content-length: 0 |
            client << HTTP/1.1 403 Forbidden | content-length: 0 | connection: close |
            client << (fin)
            """
        )


async def test_another_expectation_cannot_be_met(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 0 | expect: the-best |
            client << HTTP/1.1 417 Expectation Failed | content-length: 0 | connection: close |
            client << (fin)
            """
        )


async def test_early_hints_are_passed_on(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 103 Early Hints | link: </a.css> |
            client << HTTP/1.1 103 Early Hints | link: </a.css> |
            origin >> HTTP/1.1 100 Continue | | HTTP/1.1 102 Processing |
            client << HTTP/1.1 102 Processing |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )


async def test_a_client_of_http_1_0_gets_no_interim_response(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.0 |
            origin << GET / HTTP/1.1 | host: ... |
            origin >> HTTP/1.1 103 Early Hints | | HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content | connection: close |
            client << (fin)
            """
        )


# Answers that come while the body still flows.


async def test_an_early_refusal(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 50000000 | | begin\\
            origin << POST / HTTP/1.1 | host: a | content-length: 50000000 | | begin\\
            origin >> HTTP/1.1 413 Too Large | content-length: 0 |
            client << HTTP/1.1 413 Too Large | content-length: 0 | connection: close |
            client << (fin)
            origin << (fin)
            """
        )
        assert not proxy.cluster().hosts[0].idle


async def test_an_early_refusal_by_an_upstream_that_closes(serving: Serving) -> None:
    """Its RST on our unread bytes must not eat its answer."""
    async with serving(http()) as proxy, trio.open_nursery() as nursery:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 50000000 |
            origin << POST / HTTP/1.1 | host: a | content-length: 50000000 |
            """
        )
        client, origin = await proxy.party("client"), await proxy.party("origin")
        origin.say_at_once(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        client.say_at_once(b"x" * 100_000)
        origin.close()
        nursery.start_soon(say_what_goes, client, 49_900_000)
        assert await client.line() == b"HTTP/1.1 413 Too Large\r\n"
        nursery.cancel_scope.cancel()


async def say_what_goes(client: Peer, count: int) -> None:
    try:
        await client.say_slowly(bytes(count))
    except OSError:
        return


async def test_full_duplex(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | transfer-encoding: chunked |
            origin << POST / HTTP/1.1 | host: a | transfer-encoding: chunked |
            client >> 2 | hi
            origin << 2 | hi
            origin >> HTTP/1.1 200 OK | transfer-encoding: chunked |
            client << HTTP/1.1 200 OK | transfer-encoding: chunked | connection: close |
            origin >> 2 | hi
            client << 2 | hi
            client >> 3 | you
            origin << 3 | you
            origin >> 3 | you
            client << 3 | you
            client >> 0 |
            origin << 0 |
            origin >> 0 |
            client << 0 |
            client << (fin)
            """
        )


async def test_a_long_response_of_known_length_lets_the_upload_go_on(serving: Serving) -> None:
    """The reactor moves such a response itself, between the sockets that the upload waits on."""
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 6 | | hi\\
            origin << POST / HTTP/1.1 | host: a | content-length: 6 | | hi\\
            origin >> HTTP/1.1 200 OK | content-length: 100000 | | begin\\
            client << HTTP/1.1 200 OK | content-length: 100000 | connection: close | | begin\\
            client >> you\\
            origin << you\\
            origin >> more\\
            client << more\\
            client >> !\\
            origin << !\\
            """
        )
        client, origin = await proxy.party("client"), await proxy.party("origin")
        await origin.say(bytes(100_000 - len("beginmore")))
        assert await client.rest() == bytes(100_000 - len("beginmore"))


async def test_the_route_timeout_ends_with_the_head_of_an_early_answer(serving: Serving) -> None:
    async with serving(http(route="timeout: 100ms")) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 9 | | begin\\
            origin << POST / HTTP/1.1 | host: a | content-length: 9 | | begin\\
            origin >> HTTP/1.1 103 Early Hints |
            client << HTTP/1.1 103 Early Hints |
            client >> over\\
            origin << over\\
            origin >> HTTP/1.1 200 OK | content-length: 2 | | o\\
            client << HTTP/1.1 200 OK | content-length: 2 | | o\\
            """
        )
        await trio.sleep(0.2)
        await proxy.play("origin >> k\\ \n client << k\\ ")


async def test_an_early_answer_that_breaks_off(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> POST / HTTP/1.1 | host: a | content-length: 9 | | begin\\
            origin << POST / HTTP/1.1 | host: a | content-length: 9 | | begin\\
            origin >> HTTP/1.1 200 O\\
            origin >> (close)
            client << HTTP/1.1 503 Service Unavailable | content-type: ... | content-length: ...
            client << connection: close | | closed in the middle of the response head\\n\\
            client << (fin)
            """
        )
        assert proxy.counter("cluster.app.upstream_rq_rx_reset") == 1
        assert "upstream_rq_cancelled" not in proxy.counted("cluster.app")
    assert proxy.log[0]["flags"] == "UC"


# Memory.


def resident() -> int:
    """Return this process's resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def swallow(peer: Peer, count: int) -> int:
    """Read up to `count` bytes and throw them away; returns the most memory that was seen."""
    most = 0
    while count > 0 and await peer.more():
        count -= len(peer.take(len(peer.heard)))
        most = max(most, resident())
    assert count == 0
    return most


MEGABYTE = bytes(1 << 20)


async def pour(peer: Peer, megabytes: int, *, chunked: bool) -> None:
    for _ in range(megabytes):
        await peer.say_slowly(b"100000\r\n%b\r\n" % MEGABYTE if chunked else MEGABYTE)


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["content-length: 209715200", "transfer-encoding: chunked"])
async def test_a_large_response_takes_little_memory(serving: Serving, framing: str) -> None:
    chunked = "chunked" in framing
    async with serving(http()) as proxy, trio.open_nursery() as nursery:
        await proxy.play(
            f"""
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 200 OK | {framing} |
            client << HTTP/1.1 200 OK | {framing} |
            """
        )
        client, origin = await proxy.party("client"), await proxy.party("origin")
        before = resident()

        async def upstream() -> None:
            await pour(origin, 200, chunked=chunked)
            await origin.say(b"0\r\n\r\n" if chunked else b"")

        nursery.start_soon(upstream)
        if chunked:
            most = before
            while not client.heard.endswith(b"\r\n0\r\n\r\n"):
                assert await client.more()
                del client.heard[:-7]
                most = max(most, resident())
            client.heard.clear()
        else:
            most = await swallow(client, 200 << 20)
        assert most - before < 16 << 20
    assert proxy.log[0]["sent"] == 200 << 20


@pytest.mark.slow
async def test_a_large_request_takes_little_memory(serving: Serving) -> None:
    async with serving(http()) as proxy, trio.open_nursery() as nursery:
        head = "POST / HTTP/1.1 | host: a | content-length: 209715200 |"
        await proxy.play(f"client >> {head} \n origin << {head}")
        client, origin = await proxy.party("client"), await proxy.party("origin")
        before = resident()

        async def upload() -> None:
            await pour(client, 200, chunked=False)

        nursery.start_soon(upload)
        assert await swallow(origin, 200 << 20) - before < 16 << 20
        await proxy.play("origin >> HTTP/1.1 204 No Content | \n client << HTTP/1.1 204 ... |")
    assert proxy.log[0]["received"] == 200 << 20


async def test_a_slow_reader_holds_the_upstream_back(serving: Serving) -> None:
    async with serving(http()) as proxy:
        client = await proxy.connect(buffer=4096)
        await client.say(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        origin = await proxy.party("origin")
        await origin.head()
        await origin.say(b"HTTP/1.1 200 OK\r\ncontent-length: 209715200\r\n\r\n")
        with trio.move_on_after(0.3):
            await pour(origin, 200, chunked=False)
        await still(proxy)
        assert proxy.counter("cluster.app.upstream_cx_rx_bytes_total") < 16 << 20
        client.close()


async def still(proxy: Proxy) -> None:
    """Wait until nothing moves."""
    await proxy.quiet()
