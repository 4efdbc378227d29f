"""`tcp_proxy` on real sockets: who connects where, how it ends, and what is told of it."""

from __future__ import annotations

import random
import re
import socket
from collections import defaultdict
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
from serving import tcp
from upstreams import echo

from trioproxy.drain.lifetime import Cause

if TYPE_CHECKING:
    from dialogue import Peer
    from serving import Serving

TALK = """
    client >> hello\\
    origin << hello\\
    origin >> welcome\\
    client << welcome\\
    """


async def test_half_closed_by_the_client(serving: Serving) -> None:
    async with serving(tcp()) as proxy:
        await proxy.play(
            f"""
            {TALK}
            client >> last words\\
            client >> (fin)
            origin << last words\\
            origin << (fin)
            origin >> still here\\
            client << still here\\
            origin >> (fin)
            client << (fin)
            """
        )
    (line,) = proxy.log
    assert (line["flags"], line["received"], line["sent"]) == (None, 15, 17)


async def test_half_closed_by_the_upstream(serving: Serving) -> None:
    async with serving(tcp()) as proxy:
        await proxy.play(
            f"""
            {TALK}
            origin >> (fin)
            client << (fin)
            client >> still here\\
            origin << still here\\
            client >> (fin)
            origin << (fin)
            """
        )
    assert [(line["received"], line["sent"]) for line in proxy.log] == [(15, 7)]


async def test_a_client_that_has_said_everything_at_once(serving: Serving) -> None:
    """Its bytes and its end were there before anybody was connected to."""
    async with serving(tcp()) as proxy:
        client = await proxy.party("client")
        client.say_at_once(b"hello")
        client.finish()
        await proxy.play(
            """
            origin << hello\\
            origin << (fin)
            origin >> welcome\\
            origin >> (fin)
            client << welcome\\
            client << (fin)
            """
        )


async def test_an_upstream_that_speaks_first(serving: Serving) -> None:
    async with serving(tcp()) as proxy:
        client = await proxy.party("client")
        await proxy.play("origin >> 220 ready \n client << 220 ready")
        assert not client.end


@pytest.mark.parametrize(("who", "other"), [("client", "origin"), ("origin", "client")])
async def test_a_reset_is_passed_on(serving: Serving, who: str, other: str) -> None:
    async with serving(tcp()) as proxy:
        await proxy.play(f"{TALK} \n {who} >> (reset) \n {other} << (reset)")
        await proxy.until("cluster.app.upstream_cx_active")
        ended = "remote" if who == "origin" else "local"
        assert proxy.counter(f"cluster.app.upstream_cx_destroy_{ended}_with_active_rq") == 1
        assert proxy.counter("cluster.app.upstream_cx_http1_total") == 0
    (line,) = proxy.log
    assert line["details"] in {"connection reset by peer", "the peer is gone"}
    assert (line["received"], line["sent"]) == (5, 7)


@pytest.mark.parametrize(("who", "other"), [("client", "origin"), ("origin", "client")])
async def test_a_reset_by_who_is_half_closed(serving: Serving, who: str, other: str) -> None:
    async with serving(tcp()) as proxy:
        await proxy.play(
            f"""
            {TALK}
            {other} >> (fin)
            {who} << (fin)
            {who} >> (reset)
            {other} << (reset)
            """
        )


@pytest.mark.parametrize("who", ["client", "origin"])
async def test_a_reset_by_who_does_not_read(serving: Serving, who: str) -> None:
    """What the other side has to say is stuck in the proxy."""
    other = "origin" if who == "client" else "client"
    async with serving(tcp()) as proxy:
        await proxy.play(TALK)
        with trio.move_on_after(0.1):
            await (await proxy.party(other)).say_slowly(bytes(50_000_000))
        await proxy.play(f"{who} >> (reset) \n {other} << (reset)")


async def test_nobody_listens(serving: Serving) -> None:
    async with serving(tcp(endpoints="$refusing")) as proxy:
        await proxy.play("client << (fin)")
        assert proxy.counted("cluster.app") == {
            "upstream_cx_total": 1,
            "upstream_cx_destroy": 1,
            "upstream_cx_connect_fail": 1,
            "upstream_cx_connect_attempts_exceeded": 1,
            "upstream_rq_pending_failure_eject": 1,
        }
    (line,) = proxy.log
    assert line["flags"] == "UF"
    assert line["failure"] == line["details"] == "connection refused"
    assert line["host"]


async def test_nobody_answers(serving: Serving) -> None:
    yaml = tcp(cluster="connect_timeout: 50ms", endpoints="$deaf")
    async with serving(yaml) as proxy:
        await proxy.play("client << (fin)")
        assert proxy.counter("cluster.app.upstream_cx_connect_timeout") == 1
    assert [(line["flags"], line["failure"]) for line in proxy.log] == [("UF", "connect timeout")]


async def test_one_host_after_the_other(serving: Serving) -> None:
    yaml = tcp(
        "max_connect_attempts: 3,",
        cluster="connect_timeout: 50ms",
        endpoints="$refusing, $deaf, $origin",
    )
    async with serving(yaml) as proxy:
        for number in range(3):
            await proxy.play(
                f"""
                client#{number} >> hello\\
                origin#{number} << hello\\
                client#{number} >> (close)
                origin#{number} >> (close)
                """
            )
        failed = proxy.counter("cluster.app.upstream_cx_connect_fail")
        assert proxy.counter("cluster.app.upstream_cx_connect_attempts_exceeded") == 0
    attempts = [line["attempts"] for line in proxy.log]
    assert max(attempts) > 1
    assert sum(attempts) == 3 + failed
    assert {(line["flags"], line["host"]) for line in proxy.log} == {(None, proxy.origin.name)}


async def test_so_many_attempts_and_no_more(serving: Serving) -> None:
    yaml = tcp("max_connect_attempts: 2,", endpoints="$refusing, $refusing, $refusing")
    async with serving(yaml) as proxy:
        await proxy.play("client << (fin)")
        assert proxy.counter("cluster.app.upstream_cx_connect_fail") == 2
        assert proxy.counter("cluster.app.upstream_cx_connect_attempts_exceeded") == 1
    assert [(line["flags"], line["attempts"]) for line in proxy.log] == [("UF", 2)]


async def test_no_host_is_healthy(serving: Serving) -> None:
    async with serving(tcp(cluster="fail_traffic_on_panic: true")) as proxy:
        proxy.make_ill()
        await proxy.play("client << (fin)")
        assert proxy.counter("cluster.app.upstream_cx_none_healthy") == 1
    assert [(line["flags"], line["host"]) for line in proxy.log] == [("UH", None)]


async def test_more_connections_than_the_cluster_may_have(serving: Serving) -> None:
    yaml = tcp(cluster="circuit_breakers: {max_connections: 1}")
    async with serving(yaml) as proxy:
        await proxy.play(f"{TALK} \n client#2 << (fin)")
        assert proxy.counter("cluster.app.upstream_cx_overflow") == 1
        assert proxy.gauge("cluster.app.circuit_breakers.default.cx_open") == 1
        await proxy.play(
            """
            client >> (close)
            origin << (fin)
            origin >> (close)
            client#3 >> hello\\
            origin#2 << hello\\
            """
        )
    assert [line["flags"] for line in proxy.log] == ["UO", None, None]


async def test_an_idle_connection_is_closed(serving: Serving) -> None:
    async with serving(tcp("idle_timeout: 100ms,")) as proxy:
        await proxy.play(f"{TALK} \n client << (fin) \n origin << (fin)")
        assert proxy.counter("tcp.db.idle_timeout") == 1
    assert [(line["received"], line["sent"]) for line in proxy.log] == [(5, 7)]


@pytest.mark.parametrize("busy", ["client", "origin"])
async def test_bytes_in_one_direction_keep_it_from_being_idle(serving: Serving, busy: str) -> None:
    async with serving(tcp("idle_timeout: 500ms,")) as proxy:
        await proxy.play(TALK)
        for _ in range(6):
            await trio.sleep(0.1)
            await (await proxy.party(busy)).say(b"tick")
        other = await proxy.party("origin" if busy == "client" else "client")
        assert await other.exactly(24) == b"tick" * 6
        assert not other.end


async def test_a_drained_connection_did_not_time_out(serving: Serving) -> None:
    async with serving(tcp()) as proxy:
        await proxy.play(TALK)
        proxy.plane.drain(Cause.SHUTDOWN, 0.0, 0.06, immediate=True)
        await proxy.play("client << (fin) \n origin << (fin)")
        assert proxy.counter("tcp.db.downstream_cx_drain_close") == 1
        assert proxy.counter("tcp.db.idle_timeout") == 0


async def test_a_half_closed_connection_can_be_idle_too(serving: Serving) -> None:
    async with serving(tcp("idle_timeout: 100ms,")) as proxy:
        await proxy.play(f"{TALK} \n client >> (fin) \n origin << (fin) \n client << (fin)")
        assert proxy.counter("tcp.db.idle_timeout") == 1


async def test_a_connection_may_last_so_long(serving: Serving) -> None:
    """However busy it is."""

    async def tick(peer: Peer) -> None:
        while True:
            await peer.say(b"tick")
            await trio.sleep(0.01)

    async with serving(tcp("max_downstream_connection_duration: 150ms,")) as proxy:
        async with proxy.origin.behaving(tick):
            client = await proxy.connect()
            assert await client.rest()
        assert client.end == "(fin)"
        assert proxy.counter("tcp.db.max_downstream_connection_duration") == 1
    assert [line["flags"] for line in proxy.log] == ["DT"]


@pytest.mark.parametrize("size", [1, 100_000, 20_000_000])
async def test_every_byte_arrives_and_is_counted(serving: Serving, size: int) -> None:
    data = random.Random(size).randbytes(size)
    async with serving(tcp()) as proxy, trio.open_nursery() as nursery:
        async with proxy.origin.behaving(echo):
            client = await proxy.connect()
            nursery.start_soon(client.say_slowly, data)
            assert await client.exactly(size) == data
            client.finish()
            assert await client.rest() == b""
        assert (
            proxy.stats().counters.items()
            >= {
                "tcp.db.downstream_cx_total": 1,
                "tcp.db.downstream_cx_rx_bytes_total": size,
                "tcp.db.downstream_cx_tx_bytes_total": size,
                "cluster.app.upstream_cx_rx_bytes_total": size,
                "cluster.app.upstream_cx_tx_bytes_total": size,
            }.items()
        )
    assert [(line["received"], line["sent"]) for line in proxy.log] == [(size, size)]


async def test_what_is_not_read_is_not_taken(serving: Serving) -> None:
    """A client that does not read stops the upstream, and loses nothing for it."""
    size, data = 32_000_000, bytes(range(256)) * 1000
    said = 0

    async def say() -> None:
        nonlocal said
        origin = await proxy.party("origin")
        while said < size:
            await origin.say_slowly(data)
            said += len(data)
        origin.finish()

    async with serving(tcp()) as proxy, trio.open_nursery() as nursery:
        client = await proxy.connect(buffer=100_000)
        nursery.start_soon(say)
        taken = -1
        while taken != said:
            taken = said
            await trio.sleep(0.05)
        assert said < size * 0.75
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        heard = await client.rest()
        assert heard == data * (len(heard) // len(data))
        assert len(heard) == said >= size


async def test_weighted_clusters(serving: Serving) -> None:
    yaml = tcp("weighted_clusters: [{name: app, weight: 3}, {name: other, weight: 1}],")
    yaml = yaml.replace("cluster: app, ", "") + "- {name: other, endpoints: [$origin2]}"
    async with serving(yaml) as proxy:
        async with (
            proxy.upstreams["origin"].behaving(echo),
            proxy.upstreams["origin2"].behaving(echo),
        ):
            for _ in range(60):
                client = await proxy.connect()
                await client.say(b"hello")
                assert await client.exactly(5) == b"hello"
                client.close()
        often = proxy.counter("cluster.app.upstream_cx_total")
        seldom = proxy.counter("cluster.other.upstream_cx_total")
        assert often + seldom == 60
        assert often > seldom > 0


@pytest.mark.parametrize("policy", ["ring_hash", "maglev"])
async def test_an_address_stays_with_its_host(serving: Serving, policy: str) -> None:
    yaml = tcp(
        "hash_policy: [{source_ip: true}],",
        cluster=f"lb_policy: {policy}",
        endpoints="$origin, $origin2, $origin3",
    )
    hosts = defaultdict(set)
    async with serving(yaml) as proxy, AsyncExitStack() as stack:
        for name, upstream in proxy.upstreams.items():
            await stack.enter_async_context(upstream.behaving(partial(say_name, name.encode())))
        for address in [f"127.0.0.{number}" for number in range(2, 12)] * 3:
            with trio.socket.socket() as client:
                await client.bind((address, 0))
                await client.connect(proxy.addresses["db"])
                hosts[address].add(await client.recv(100))
    assert all(len(of_address) == 1 for of_address in hosts.values())
    assert len(set.union(*hosts.values())) > 1


async def say_name(name: bytes, peer: Peer) -> None:
    await peer.say(name)
    await peer.rest()


async def test_a_subset_of_the_hosts(serving: Serving) -> None:
    yaml = tcp(
        "metadata_match: {role: primary},",
        cluster="lb_subset: {subset_selectors: [{keys: [role]}]}",
        endpoints="$origin2, {address: $origin, metadata: {role: primary}}",
    )
    async with serving(yaml) as proxy:
        for number in range(1, 4):
            await proxy.play(re.sub("client|origin", rf"\g<0>#{number}", TALK))


async def test_the_access_log_knows_both_connections(serving: Serving) -> None:
    fields = """
        cluster: "%UPSTREAM_CLUSTER%", here: "%UPSTREAM_LOCAL_ADDRESS%", number: "%CONNECTION_ID%",
        client: "%DOWNSTREAM_REMOTE_ADDRESS%", listener: "%DOWNSTREAM_LOCAL_ADDRESS%",
        took: "%DURATION%", protocol: "%PROTOCOL%", method: "%REQ(:METHOD)%"
        """
    log = f"access_log: {{path: $log, format: json, fields: {{ {fields} }} }}"
    yaml = tcp().split("access_log")[0] + log + " }\n" + tcp().split("} }\n")[1]
    async with serving(yaml) as proxy:
        await proxy.play(TALK)
        client, origin = await proxy.party("client"), await proxy.party("origin")
        expected = {
            "cluster": "app",
            "here": "{}:{}".format(*origin.sock.getpeername()),
            "client": "{}:{}".format(*client.sock.getsockname()),
            "listener": "{}:{}".format(*client.sock.getpeername()),
            "protocol": None,
            "method": None,
        }
    (line,) = proxy.log
    assert line.items() >= expected.items()
    assert isinstance(line["took"], int)
    assert isinstance(line["number"], int)


async def test_a_client_leaves_while_the_proxy_connects(serving: Serving) -> None:
    async with serving(tcp(endpoints="$deaf", cluster="connect_timeout: 4s")) as proxy:
        await proxy.party("client")
        await proxy.until("cluster.app.upstream_cx_active", 1)
        await proxy.play("client >> (reset)")
        await proxy.until("cluster.app.upstream_cx_active", 0)
    assert [line["flags"] for line in proxy.log] == ["DC"]


async def test_a_client_half_closes_while_the_proxy_connects(serving: Serving) -> None:
    """It still wants an answer."""
    async with serving(tcp(endpoints="$deaf", cluster="connect_timeout: 200ms")) as proxy:
        await proxy.party("client")
        await proxy.until("cluster.app.upstream_cx_active", 1)
        await proxy.play("client >> (fin) \n client << (fin)")
    assert [line["flags"] for line in proxy.log] == ["UF"]
