"""One exchange after the other on a client's connection, as both sides see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving import http

if TYPE_CHECKING:
    from serving import Serving


async def test_an_exchange(serving: Serving) -> None:
    async with serving(http()) as proxy:
        await proxy.play(
            """
            client >> GET /a?b HTTP/1.1 | Host: A.org | X-Y:  z |
            origin << GET /a?b HTTP/1.1 | host: A.org | x-y: z |
            origin >> HTTP/1.1 200 Fine | Content-Length: 2 | Server: s | | ok\\
            client << HTTP/1.1 200 Fine | server: s | content-length: 2 | | ok\\
            """
        )
        assert proxy.counted("http.web") == {
            "downstream_cx_total": 1,
            "downstream_rq_total": 1,
            "downstream_rq_completed": 1,
            "downstream_rq_2xx": 1,
            "rq_total": 1,
        }
        assert proxy.counted("cluster.app") == {
            "upstream_cx_total": 1,
            "upstream_rq_total": 1,
            "upstream_rq_completed": 1,
            "upstream_rq_2xx": 1,
        }
        assert proxy.counter("http.web.downstream_cx_rx_bytes_total") == 43
    assert proxy.log == [
        {
            "method": "GET", "path": "/a?b", "protocol": "HTTP/1.1", "status": 200, "flags": None,
            "details": "via_upstream", "received": 0, "sent": 2, "host": proxy.origin.name,
            "failure": None, "attempts": 1,
        }
    ]  # fmt: skip
