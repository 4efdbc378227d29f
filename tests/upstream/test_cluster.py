"""What a cluster counts of its connections, and why they end."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from serving import http, tcp

from trioproxy.errors import ConnectFailed
from trioproxy.upstream.member import FAILED_ACTIVE_HC, Member

if TYPE_CHECKING:
    from serving import Proxy, Serving

    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.host import Host

NO_CONTENT = "HTTP/1.1 204 No Content |"
ASKED = "client >> GET / HTTP/1.1 | host: a | \n origin << GET / HTTP/1.1 | host: a |"
ANSWERED = f"{ASKED} \n origin >> {NO_CONTENT} \n client << {NO_CONTENT}"
LAST = "HTTP/1.1 200 OK | connection: close | content-length: 0 |"
LOCAL = {"destroy": 1, "destroy_local": 1}
LOCAL_ACTIVE = {**LOCAL, "destroy_with_active_rq": 1, "destroy_local_with_active_rq": 1}
REMOTE = {"destroy": 1, "destroy_remote": 1}
FIN = "closed before the response"
RESET = "Connection reset by peer"
REMOTE_ACTIVE = {**REMOTE, "destroy_with_active_rq": 1, "destroy_remote_with_active_rq": 1}


def failed(reason: str) -> str:
    """The rows in which a client hears why there is no answer."""
    return f"client << HTTP/1.1 503 ... | ... | ... | | {reason}\\n\\"


async def ends(proxy: Proxy) -> dict[str, int]:
    """Return how connections ended, once they have."""
    await proxy.until("cluster.app.upstream_cx_active")
    start = "cluster.app.upstream_cx_"
    return {
        name.removeprefix(start): value
        for name, value in proxy.stats().counters.items()
        if name.startswith(f"{start}destroy") and value
    }


@pytest.mark.parametrize(
    ("dialogue", "expected"),
    [
        (f"{ANSWERED} \n origin >> (close)", REMOTE),
        (f"{ANSWERED} \n origin >> (reset)", REMOTE),
        (f"{ANSWERED} \n origin << (fin)", LOCAL),
        (f"{ASKED} \n client >> (close)", LOCAL_ACTIVE),
        (f"{ASKED} \n origin >> (close) \n {failed(FIN)}", REMOTE_ACTIVE),
        (f"{ASKED} \n origin >> (reset) \n {failed(RESET)}", REMOTE_ACTIVE),
    ],
)
async def test_who_ended_a_connection(
    serving: Serving, dialogue: str, expected: dict[str, int]
) -> None:
    async with serving(http(cluster="idle_timeout: 60ms")) as proxy:
        await proxy.play(dialogue)
        assert await ends(proxy) == expected


async def test_a_host_that_refuses_ended_the_connection(serving: Serving) -> None:
    async with serving(http(endpoints="$refusing")) as proxy:
        refused = failed("connection refused")
        await proxy.play(f"client >> GET / HTTP/1.1 | host: a | \n {refused}")
        assert await ends(proxy) == REMOTE
        assert proxy.counter("cluster.app.upstream_rq_pending_failure_eject") == 1


async def test_a_host_that_announces_its_close(serving: Serving) -> None:
    async with serving(http()) as proxy:
        heard = "HTTP/1.1 200 OK | content-length: 0 |"
        await proxy.play(f"{ASKED} \n origin >> {LAST} \n client << {heard} \n origin << (fin)")
        assert await ends(proxy) == LOCAL
        assert proxy.counter("cluster.app.upstream_cx_close_notify") == 1


async def test_a_connection_that_is_too_old_for_another_request(serving: Serving) -> None:
    async with serving(http(cluster="max_connection_duration: 1ms")) as proxy:
        await proxy.play(ASKED)
        await trio.sleep(0.01)
        await proxy.play(f"origin >> {NO_CONTENT} \n client << {NO_CONTENT} \n origin << (fin)")
        assert await ends(proxy) == LOCAL
        assert proxy.counter("cluster.app.upstream_cx_max_duration_reached") == 1
        assert proxy.counter("cluster.app.upstream_cx_max_requests") == 0


async def test_only_who_never_got_a_connection_was_cancelled(serving: Serving) -> None:
    async with serving(http(cluster="circuit_breakers: {max_connections: 1}")) as proxy:
        await proxy.play(f"{ASKED} \n client#2 >> GET / HTTP/1.1 | host: a |")
        await proxy.until("cluster.app.upstream_rq_pending_active", 1)
        await proxy.play("client#2 >> (close)")
        await proxy.until("cluster.app.upstream_rq_pending_active", 0)
        await proxy.play("client >> (close) \n origin << (reset)")
        assert proxy.counter("cluster.app.upstream_rq_cancelled") == 1


async def test_tables_are_full_when_traffic_begins(serving: Serving) -> None:
    hashing = "lb_policy: maglev"
    async with serving(http(cluster=hashing, endpoints="$origin, $origin2")) as proxy:
        assert proxy.cluster()._balancer.when == inf


async def test_who_cannot_connect_after_all_leaves_the_room_to_the_next(serving: Serving) -> None:
    once = "circuit_breakers: {max_connections: 1}"
    async with serving(http(cluster=once, endpoints="$origin, 'unix:/missing.sock'")) as proxy:
        cluster = proxy.cluster()
        good, missing = cluster.hosts
        first = await cluster.lease(good)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused, cluster, missing)
            await proxy.until("cluster.app.upstream_rq_pending_active", 1)
            nursery.start_soon(lent, cluster, good)
            await proxy.until("cluster.app.upstream_rq_pending_active", 2)
            first.close()


async def refused(cluster: Cluster, host: Host) -> None:
    with pytest.raises(ConnectFailed, match="no such file"):
        await cluster.lease(host)


async def lent(cluster: Cluster, host: Host) -> None:
    with trio.fail_after(1):
        (await cluster.lease(host)).close()


def aimed_at(proxy: Proxy, *upstreams: str) -> list[Member]:
    return [Member(proxy.upstreams[each].name) for each in upstreams]


async def test_a_host_that_is_removed_is_drained_not_cut(serving: Serving) -> None:
    """Whoever is in an exchange with it finishes; nobody else gets there."""
    async with serving(http(endpoints="$origin, $origin2")) as proxy:
        proxy.cluster().update(aimed_at(proxy, "origin"))
        await proxy.play(ASKED)
        proxy.cluster().update(aimed_at(proxy, "origin2"))
        await proxy.play(f"origin >> {NO_CONTENT} \n client << {NO_CONTENT} \n origin << (fin)")
        await proxy.play(ASKED.replace("origin", "origin2"))
        await proxy.play(f"origin2 >> {NO_CONTENT} \n client << {NO_CONTENT}")


async def test_idle_connections_to_a_removed_host_are_closed(serving: Serving) -> None:
    async with serving(http(endpoints="$origin, $origin2")) as proxy:
        proxy.cluster().update(aimed_at(proxy, "origin"))
        await proxy.play(ANSWERED)
        proxy.cluster().update(aimed_at(proxy, "origin2"))
        await proxy.play("origin << (fin)")


async def test_a_host_that_stays_keeps_what_it_has(serving: Serving) -> None:
    async with serving(http(endpoints="$origin, $origin2")) as proxy:
        cluster = proxy.cluster()
        (before,) = [host for host in cluster.hosts if host.name == proxy.origin.name]
        (member,) = aimed_at(proxy, "origin")
        ill = attrs.evolve(member, weight=7, flags=(FAILED_ACTIVE_HC,))
        cluster.update([ill])
        assert cluster.hosts == [before]
        assert (before.member.weight, before.healthy) == (7, False)
        cluster.update([member])
        await proxy.play(ANSWERED)
        assert cluster.hosts == [before]
        assert len(before.idle) == 1


async def test_a_tunnel_to_a_removed_host_stays(serving: Serving) -> None:
    async with serving(tcp(endpoints="$origin, $origin2")) as proxy:
        proxy.cluster().update(aimed_at(proxy, "origin"))
        await proxy.play("client >> hello \n origin << hello")
        proxy.cluster().update(aimed_at(proxy, "origin2"))
        await proxy.play("origin >> are you there? \n client << are you there?")
        await proxy.play("client#2 >> hello \n origin2 << hello")


async def test_a_logical_host_keeps_its_connections_when_its_address_changes(
    serving: Serving,
) -> None:
    """Who asks while one is idle gets that; who does not get one goes to the new address."""
    async with serving(http(endpoints="$origin, $origin2")) as proxy:
        old, new = (
            attrs.evolve(each, logical="app.test:80")
            for each in aimed_at(proxy, "origin", "origin2")
        )
        proxy.cluster().update([old])
        await proxy.play(ANSWERED)
        (host,) = proxy.cluster().hosts
        proxy.cluster().update([new])
        assert proxy.cluster().hosts == [host]
        await proxy.play(ASKED)
        other = ASKED.replace("origin", "origin2").replace("client", "client#2")
        await proxy.play(other)
        await proxy.play(f"origin >> {NO_CONTENT} \n client << {NO_CONTENT}")
        assert len(host.idle) == 1


async def test_nobody_gets_through_while_there_are_no_hosts(serving: Serving) -> None:
    async with serving(http()) as proxy:
        hosts = aimed_at(proxy, "origin")
        proxy.cluster().update([])
        await proxy.play(f"client >> GET / HTTP/1.1 | host: a | \n {failed('no healthy upstream')}")
        proxy.cluster().update(hosts)
        await proxy.play(ANSWERED)
