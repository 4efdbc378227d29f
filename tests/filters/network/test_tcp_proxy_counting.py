"""What `tcp_proxy` counts of a connection, and of how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from serving import tcp

from trioproxy.drain.lifetime import Cause

if TYPE_CHECKING:
    from serving import Serving

TALK = """
    client >> hello\\
    origin << hello\\
    origin >> world!\\
    client << world!\\
    """


async def test_bytes_are_counted_on_either_side(serving: Serving) -> None:
    async with serving(tcp()) as proxy:
        await proxy.play(
            f"""
            {TALK}
            client >> (fin)
            origin << (fin)
            origin >> more\\
            client << more\\
            origin >> (fin)
            client << (fin)
            """
        )
        await proxy.empty()
        assert proxy.counted("tcp.db") == {"downstream_cx_total": 1}
        assert proxy.counter("tcp.db.downstream_cx_rx_bytes_total") == 5
        assert proxy.counter("tcp.db.downstream_cx_tx_bytes_total") == 10
        assert proxy.counter("cluster.app.upstream_cx_tx_bytes_total") == 5
        assert proxy.counter("cluster.app.upstream_cx_rx_bytes_total") == 10
        assert proxy.counter("cluster.app.upstream_cx_http1_total") == 0


@pytest.mark.parametrize(
    ("reset", "heard", "ended"), [("client", "origin", "local"), ("origin", "client", "remote")]
)
async def test_who_cut_it(serving: Serving, reset: str, heard: str, ended: str) -> None:
    async with serving(tcp()) as proxy:
        await proxy.play(f"{TALK} \n {reset} >> (reset) \n {heard} << (reset)")
        await proxy.until("cluster.app.upstream_cx_active")
        assert proxy.counter(f"cluster.app.upstream_cx_destroy_{ended}_with_active_rq") == 1


@pytest.mark.parametrize(
    ("option", "name", "flags"),
    [
        ("idle_timeout: 60ms,", "idle_timeout", None),
        (
            "max_downstream_connection_duration: 60ms,",
            "max_downstream_connection_duration",
            "DT",
        ),
    ],
)
async def test_its_time_is_over(
    serving: Serving, option: str, name: str, flags: str | None
) -> None:
    async with serving(tcp(option)) as proxy:
        await proxy.play(f"{TALK} \n client << (fin) \n origin << (fin)")
        assert proxy.counted("tcp.db") == {"downstream_cx_total": 1, name: 1}
    assert [line["flags"] for line in proxy.log] == [flags]


async def test_a_drained_connection_did_not_time_out(serving: Serving) -> None:
    async with serving(tcp()) as proxy:
        await proxy.play(TALK)
        proxy.plane.drain(Cause.SHUTDOWN, 0.0, 0.06, immediate=True)
        await proxy.play("client << (fin) \n origin << (fin)")
        assert proxy.counted("tcp.db") == {
            "downstream_cx_total": 1,
            "downstream_cx_drain_close": 1,
        }


async def test_a_connection_that_a_drain_ends_in_a_quiet_moment_did_not_time_out(
    serving: Serving,
) -> None:
    async with serving(tcp("drain: {quiet: 60ms, notice: 0%},")) as proxy:
        await proxy.play(TALK)
        proxy.plane.drain(Cause.SHUTDOWN, 600, 900, immediate=True)
        await proxy.play("client << (fin) \n origin << (fin)")
        assert proxy.counted("tcp.db") == {
            "downstream_cx_total": 1,
            "downstream_cx_drain_close": 1,
        }
