"""Connections that stop being HTTP: upgrades and CONNECT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving import http

if TYPE_CHECKING:
    from serving import Serving

WEBSOCKET = http("upgrades: [websocket],")
CONNECT = http("upgrades: [connect],", routes="{match: {connect: true}, route: {cluster: app}}")
UPGRADE = """
    client >> GET / HTTP/1.1 | host: a | connection: Upgrade | upgrade: WebSocket | x: y |
    origin << GET / HTTP/1.1 | host: a | x: y | connection: upgrade | upgrade: websocket |
    """
SWITCHED = f"""
    {UPGRADE}
    origin >> HTTP/1.1 101 Switching Protocols | connection: upgrade | upgrade: websocket |
    client << HTTP/1.1 101 Switching Protocols | connection: upgrade | upgrade: websocket |
    """


async def test_an_upgrade(serving: Serving) -> None:
    async with serving(WEBSOCKET) as proxy:
        await proxy.play(
            f"""
            {SWITCHED}
            client >> ping\\
            origin << ping\\
            origin >> pong\\
            client << pong\\
            """
        )
        assert proxy.gauge("http.web.downstream_cx_upgrades_active") == 1
        await proxy.play(
            """
            client >> (fin)
            origin << (fin)
            origin >> late\\
            client << late\\
            origin >> (fin)
            client << (fin)
            """
        )
        assert proxy.gauge("http.web.downstream_cx_upgrades_active") == 0
        assert proxy.counter("http.web.downstream_cx_upgrades_total") == 1
        assert not proxy.cluster().hosts[0].idle
    assert [(line["status"], line["received"], line["sent"]) for line in proxy.log] == [(101, 4, 8)]


async def test_bytes_right_behind_the_heads(serving: Serving) -> None:
    async with serving(WEBSOCKET) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a
            client >> connection: upgrade | upgrade: websocket | | first\\
            origin << GET / HTTP/1.1 | host: a | connection: upgrade | upgrade: websocket |
            origin >> HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket | | hello\\
            client << HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket | | hello\\
            origin << first\\
            """
        )


async def test_the_bytes_of_an_upgrade_are_counted(serving: Serving) -> None:
    async with serving(WEBSOCKET) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a
            client >> connection: upgrade | upgrade: websocket | | first\\
            origin << GET / HTTP/1.1 | host: a | connection: upgrade | upgrade: websocket |
            origin >> HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket | | hello\\
            client << HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket | | hello\\
            origin << first\\
            client >> (fin)
            origin << (fin)
            origin >> (fin)
            client << (fin)
            """
        )
        asked = len("GET / HTTP/1.1__host: a__connection: upgrade__upgrade: websocket____first")
        answered = len("HTTP/1.1 101 Go__connection: upgrade__upgrade: websocket____hello")
        counter = proxy.counter
        assert counter("http.web.downstream_cx_rx_bytes_total") == asked
        assert counter("http.web.downstream_cx_tx_bytes_total") == answered
        assert counter("cluster.app.upstream_cx_tx_bytes_total") == asked
        assert counter("cluster.app.upstream_cx_rx_bytes_total") == answered


async def test_an_upgrade_that_is_refused(serving: Serving) -> None:
    async with serving(WEBSOCKET) as proxy:
        await proxy.play(
            f"""
            {UPGRADE}
            origin >> HTTP/1.1 403 Forbidden | content-length: 2 | | no\\
            client << HTTP/1.1 403 Forbidden | content-length: 2 | | no\\
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 204 No Content |
            client << HTTP/1.1 204 No Content |
            """
        )


async def test_an_upgrade_that_is_not_configured_is_a_plain_request(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a | connection: upgrade | upgrade: websocket |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 200 OK | content-length: 0 |
            client << HTTP/1.1 200 OK | content-length: 0 |
            """
        )


async def test_a_switch_that_nobody_asked_for(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET / HTTP/1.1 | host: a |
            origin << GET / HTTP/1.1 | host: a |
            origin >> HTTP/1.1 101 Go | connection: upgrade | upgrade: websocket |
            client << HTTP/1.1 502 Bad Gateway | content-type: ... | content-length: ...
            client << | switches protocols though nobody asked it to\\n\\
            origin << (reset)
            """
        )
    assert proxy.log[0]["flags"] == "UPE"


async def test_a_client_resets_a_tunnel(serving: Serving) -> None:
    async with serving(WEBSOCKET) as proxy:
        await proxy.play(f"{SWITCHED} \n client >> (reset) \n origin << (reset)")
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(101, "DC")]


async def test_a_tunnel_that_was_reset_takes_no_request(serving: Serving) -> None:
    """Or what one client asks is answered by what another one's WebSocket says."""
    async with serving(WEBSOCKET) as proxy:
        await proxy.play(
            f"""
            {SWITCHED}
            client >> (reset)
            client#2 >> GET /secret HTTP/1.1 | host: a |
            origin#2 << GET /secret HTTP/1.1 | host: a |
            """
        )


async def test_an_upstream_resets_a_tunnel(serving: Serving) -> None:
    async with serving(WEBSOCKET) as proxy:
        await proxy.play(f"{SWITCHED} \n origin >> (reset) \n client << (reset)")
    assert [(line["status"], line["flags"]) for line in proxy.log] == [(101, "UC")]


async def test_an_idle_tunnel_is_closed(serving: Serving) -> None:
    manager = "upgrades: [websocket], upgrade_idle_timeout: 100ms, stream_idle_timeout: 20ms,"
    async with serving(http(manager)) as proxy:
        await proxy.play(f"{SWITCHED} \n client << (fin) \n origin << (reset)")


async def test_connect(serving: Serving) -> None:
    async with serving(CONNECT) as proxy:
        await proxy.play(
            """
            client >> CONNECT db.example:5432 HTTP/1.1 | host: db.example:5432 | | hello\\
            client << HTTP/1.1 200 OK |
            origin << hello\\
            origin >> welcome\\
            client << welcome\\
            origin >> (fin)
            client << (fin)
            client >> bye\\
            client >> (fin)
            origin << bye\\
            origin << (fin)
            """
        )
        assert proxy.counter("http.web.downstream_cx_upgrades_total") == 1
    assert [(line["status"], line["received"], line["sent"]) for line in proxy.log] == [(200, 8, 7)]


async def test_connect_is_refused_where_it_is_not_configured(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> CONNECT a:1 HTTP/1.1 | host: a:1 |
            client << HTTP/1.1 405 Method Not Allowed | content-type: ... | content-length: ...
            client << | CONNECT is not served here\\n\\
            """
        )


async def test_connect_to_an_upstream_that_refuses(serving: Serving) -> None:
    async with serving(CONNECT.replace("$origin", "$refusing")) as proxy:
        await proxy.play(
            """
            client >> CONNECT a:1 HTTP/1.1 | host: a:1 |
            client << HTTP/1.1 503 Service Unavailable | content-type: ... | content-length: ...
            client << | connection refused\\n\\
            """
        )
    assert proxy.log[0]["flags"] == "UF"
