"""Hosts that fall ill and get well again, behind a real proxy and under load: nobody notices."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import trio
from flock import Flock, open_crowd, open_flock, well
from instances import PATIENCE
from programs import nginx, redis
from sites import Site, Visitor, a_site, ask, get, web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flock import Mood
    from instances import Instance

RETRY = {
    "on": ["connect_failure", "reset", "5xx", "per_try_timeout"],
    "attempts": 5,
    "per_try_timeout": "600ms",
    "backoff": {"base": "1ms", "max": "5ms"},
}
CHECK = {
    "http": {"path": "/up"},
    "interval": "20ms",
    "no_traffic_interval": "20ms",
    "timeout": "500ms",
}
RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as site:
        yield site


def proxying() -> dict[str, object]:
    """A listener whose requests go to the cluster `app`."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": "app", "retry": RETRY}}
    filters = [{"http_connection_manager": {"stat_prefix": "web", "routes": [route]}}]
    return {"name": "web", "address": "127.0.0.1:0", "filters": filters}


def app(flock: Flock, *members: int, **more: object) -> dict[str, object]:
    """The cluster `app`; all of its requests may be retried at once."""
    endpoints = [flock.name(number) for number in members]
    limits = {"max_retries": 100}
    return {"name": "app", "endpoints": endpoints, "circuit_breakers": limits} | more


async def serve(site: Site, cluster: dict[str, object]) -> Instance:
    site.configure(proxying(), clusters=[cluster])
    return await trio.to_thread.run_sync(site.serve)


async def wait_for(instance: Instance, text: str) -> str:
    """Wait until a line of the log contains `text`, while others in this process go on."""
    return await trio.to_thread.run_sync(instance.wait_for, text)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is true that nobody tells of."""

    def wait() -> None:
        give_up = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < give_up
            time.sleep(0.01)

    await trio.to_thread.run_sync(wait)


def counter(instance: Instance, name: str) -> int:
    """Return a counter of the cluster."""
    line = get(instance.ports["admin"], f"/stats?filter=^cluster.app.{name}$")
    return int(line.partition(": ")[2])


async def flags(instance: Instance, host: str) -> str:
    _, lines = await trio.to_thread.run_sync(ask, instance.ports["admin"], "/clusters")
    (line,) = (line for line in lines.splitlines() if f"::{host}::health_flags::" in line)
    return line.rpartition("::")[2]


async def hang(stream: trio.SocketStream, head: bytes, body: bytes) -> None:
    await trio.sleep_forever()


async def be_slow(stream: trio.SocketStream, head: bytes, body: bytes) -> None:
    await trio.sleep(1)
    await well(stream, head, body)


async def reset(stream: trio.SocketStream, head: bytes, body: bytes) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    stream.socket.close()


async def fail(stream: trio.SocketStream, head: bytes, body: bytes) -> None:
    await stream.send_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")


async def babble(stream: trio.SocketStream, head: bytes, body: bytes) -> None:
    if b"/up" in head:
        await stream.send_all(b"hello\r\n\r\n")
    else:
        await well(stream, head, body)


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        (hang, "no answer in 0.5 s"),
        (be_slow, "no answer in 0.5 s"),
        (reset, "connection reset by peer"),
        (fail, "status 500"),
        (babble, "not HTTP: "),
    ],
)
async def test_a_host_that_is_ill_gets_nothing_until_it_is_well(
    site: Site, mood: Mood, reason: str
) -> None:
    async with open_flock() as flock:
        await flock.rise(1, 2)
        instance = await serve(site, app(flock, 1, 2, health_checks=[CHECK]))
        async with open_crowd(instance.ports["web"]) as crowd:
            await crowd.sees(1, 2)
            flock.moods[2] = mood
            await wait_for(instance, f"{flock.name(2)} is unhealthy: {reason}")
            await crowd.sees(1)
            assert await flags(instance, flock.name(2)) == "/failed_active_hc"
            del flock.moods[2]
            await wait_for(instance, f"{flock.name(2)} is healthy")
            await crowd.sees(1, 2)
        assert crowd.failures == []


async def test_a_host_that_dies_and_returns(site: Site) -> None:
    async with open_flock() as flock:
        await flock.rise(1, 2)
        instance = await serve(site, app(flock, 1, 2, health_checks=[CHECK]))
        async with open_crowd(instance.ports["web"]) as crowd:
            await crowd.sees(1, 2)
            await flock.fall(2)
            await wait_for(instance, f"{flock.name(2)} is unhealthy: connection refused")
            await crowd.sees(1)
            await flock.rise(2)
            await crowd.sees(1, 2)
        assert crowd.failures == []


async def test_a_host_that_flaps_stays(site: Site) -> None:
    """Failures have to come in a row."""
    async with open_flock() as flock:
        checks = 0
        enough = trio.Event()

        async def flap(stream: trio.SocketStream, head: bytes, body: bytes) -> None:
            nonlocal checks
            checks += 1
            if checks % 3:
                await stream.aclose()
            else:
                await well(stream, head, body)
            if checks > 20:
                enough.set()

        await flock.rise(1)
        check = CHECK | {"reuse_connection": False}
        instance = await serve(site, app(flock, 1, health_checks=[check]))
        flock.moods[1] = flap
        await enough.wait()
        assert await flags(instance, flock.name(1)) == "healthy"
        assert counter(instance, "health_check.failure") >= 12


async def test_a_host_is_checked_once_per_instance(site: Site) -> None:
    """However many workers there are, and over one connection."""
    async with open_flock() as flock:
        await flock.rise(1)
        instance = await serve(site, app(flock, 1, health_checks=[CHECK]))
        await until(lambda: counter(instance, "health_check.success") >= 5)
        assert flock.connections == {1: 1}


async def test_without_traffic_nobody_is_in_a_hurry(site: Site) -> None:
    """Until somebody connects to the cluster, in whichever worker."""
    async with open_flock() as flock:
        await flock.rise(1)
        check = CHECK | {"no_traffic_interval": "2s"}
        instance = await serve(site, app(flock, 1, health_checks=[check]))
        assert counter(instance, "health_check.attempt") <= 2
        async with open_crowd(instance.ports["web"]) as crowd:
            await crowd.sees(1)
            await until(lambda: counter(instance, "health_check.attempt") >= 10)


async def test_a_host_that_answers_with_errors_is_ejected_for_all_workers(site: Site) -> None:
    """It passes its health checks, which do not end an ejection here."""

    async def fail_requests(stream: trio.SocketStream, head: bytes, body: bytes) -> None:
        await (well if b"/up" in head else fail)(stream, head, body)

    detection = {
        "base_ejection_time": "3s",
        "interval": "50ms",
        "successful_active_health_check_uneject_host": False,
        "event_log_path": "outliers.log",
    }
    async with open_flock() as flock:
        await flock.rise(1, 2)
        cluster = app(flock, 1, 2, health_checks=[CHECK], outlier_detection=detection)
        instance = await serve(site, cluster)
        async with open_crowd(instance.ports["web"]) as crowd:
            await crowd.sees(1, 2)
            flock.moods[2] = fail_requests
            await wait_for(instance, f"{flock.name(2)} is ejected for 3 s: consecutive 5xx")
            assert await flags(instance, flock.name(2)) == "/failed_outlier_check"
            await crowd.sees(1)
            del flock.moods[2]
            await wait_for(instance, f"{flock.name(2)} is ejected no more")
            await crowd.sees(1, 2)
        assert crowd.failures == []
        assert counter(instance, "outlier_detection.ejections_enforced_consecutive_5xx") >= 1
    log = site.directory / "outliers.log"
    await until(lambda: log.read_text().count("\n") > 1)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["action"] for event in events[:2]] == ["EJECT", "UNEJECT"]


async def test_a_child_whose_hosts_are_never_healthy(site: Site) -> None:
    """A32: with health checks. It leaves in time, says why, and the parent serves on."""
    parent = await trio.to_thread.run_sync(site.serve)
    async with open_flock() as flock:
        await flock.rise(1, 2)
        flock.moods = {1: hang, 2: fail}
        cluster = app(flock, 1, 2, health_checks=[CHECK])
        site.configure(web("two"), clusters=[cluster], hot_restart={"init_timeout": "1s"})
        with Visitor(parent.ports["web"]) as visitor:
            child = site.start(1)
            assert await trio.to_thread.run_sync(child.wait_gone) == 1
            visitor.wait_seen("one")
    last = child.log[-1]
    assert "not ready in 1 s: cluster app: 0 of 2 hosts healthy, 1 needed: " in last
    assert f"{flock.name(1)} (no answer in 0.5 s)" in last
    assert f"{flock.name(2)} (status 500)" in last
    assert visitor.failures == []
    assert visitor.seen.keys() == {"one"}
    assert get(parent.ports["admin"], "/ready") == "LIVE\n"


async def test_a_hot_restart_waits_for_the_first_healthy_host(site: Site) -> None:
    async with open_flock() as flock:
        await flock.rise(1, 2)
        parent = await serve(site, app(flock, 1))
        async with open_crowd(parent.ports["web"]) as crowd:
            await crowd.sees(1)
            flock.moods[2] = fail
            site.configure(proxying(), clusters=[app(flock, 2, health_checks=[CHECK])])
            child = site.start(1)
            await wait_for(child, f"{flock.name(2)} is unhealthy: status 500")
            await crowd.sees(1)
            del flock.moods[2]
            await wait_for(child, "epoch 1: serving")
            await crowd.sees(2)
        assert crowd.failures == []


async def test_a_child_begins_with_what_its_parent_knows(site: Site) -> None:
    """A cluster that the start does not wait for is served from the first request on."""

    async def check_slowly(stream: trio.SocketStream, head: bytes, body: bytes) -> None:
        if b"/up" in head:
            await trio.sleep(2)
        await well(stream, head, body)

    check = {"http": {"path": "/up"}, "timeout": "10s", "interval": "1h"}
    async with open_flock() as flock:
        await flock.rise(1)
        parent = await serve(site, app(flock, 1, health_checks=[check], required=False))
        await until(lambda: counter(parent, "health_check.success") == 1)
        async with open_crowd(parent.ports["web"]) as crowd:
            await crowd.sees(1)
            flock.moods[1] = check_slowly
            child = site.start(1)
            await wait_for(child, "epoch 1: serving")
            assert await flags(child, flock.name(1)) == "/pending_active_hc"
            await crowd.sees(1)
            await until(lambda: counter(child, "health_check.success") == 2)
            assert await flags(child, flock.name(1)) == "healthy"
        assert crowd.failures == []


async def test_the_event_log_is_a_file_that_may_be_moved(site: Site) -> None:
    async with open_flock() as flock:
        await flock.rise(1)
        path, moved = site.directory / "health.log", site.directory / "health.log.1"
        check = CHECK | {"event_log_path": "health.log", "always_log_health_check_success": True}
        instance = await serve(site, app(flock, 1, health_checks=[check]))
        await until(lambda: bool(path.read_text()))
        path.rename(moved)
        await trio.to_thread.run_sync(ask, instance.ports["admin"], "/reopen_logs", "POST")
        await until(lambda: path.exists() and bool(path.read_text()))
    first = json.loads(moved.read_text().splitlines()[0])
    assert first["add_healthy_event"] == {"first_check": True}
    assert json.loads(path.read_text().splitlines()[0])["cluster_name"] == "app"


@pytest.mark.foreign
def test_nginx_and_redis_are_asked_in_their_own_words(site: Site) -> None:
    ping = {"send": "PING\r\n", "receive": ["+PONG\r\n"]}
    pace = {"interval": "20ms", "no_traffic_interval": "20ms", "unhealthy_threshold": 1}
    with ExitStack() as nginx_there, ExitStack() as redis_there:
        pages = nginx_there.enter_context(nginx())
        cache = redis_there.enter_context(redis())
        clusters = [
            {"name": "pages", "endpoints": [f"unix:{pages}"]},
            {"name": "cache", "endpoints": [f"unix:{cache}"]},
        ]
        clusters[0]["health_checks"] = [{"http": {"path": "/"}} | pace]  # type: ignore[list-item]
        clusters[1]["health_checks"] = [{"tcp": ping} | pace]  # type: ignore[list-item]
        site.configure(web(), clusters=clusters)
        instance = site.serve()
        redis_there.close()
        instance.wait_for("is unhealthy: ")
        nginx_there.close()
        instance.wait_for("is unhealthy: ")
    lines = [line for line in instance.log if "cluster " in line]
    assert [line.partition("cluster ")[2].split(":")[0] for line in lines[-2:]] == [
        "cache",
        "pages",
    ]
    assert "failure: 0" not in get(instance.ports["admin"], "/stats?filter=health_check.failure")


@pytest.mark.slow
async def test_hosts_die_hang_and_return_for_a_while(site: Site) -> None:
    """With retries on, no client sees an error as long as one host is well: the third one is."""
    rng = random.Random(1)
    detection = {"base_ejection_time": "200ms", "interval": "100ms", "max_ejection_percent": "70%"}
    async with open_flock() as flock:
        await flock.rise(1, 2, 3)
        cluster = app(flock, 1, 2, 3, health_checks=[CHECK], outlier_detection=detection)
        instance = await serve(site, cluster)
        async with open_crowd(instance.ports["web"], clients=8) as crowd:
            for _ in range(20):
                number = rng.choice([1, 2])
                mood = rng.choice([hang, reset, fail, None])
                if mood is None:
                    await flock.fall(number)
                else:
                    flock.moods[number] = mood
                await trio.sleep(rng.uniform(0.1, 0.6))
                if mood is None:
                    await flock.rise(number)
                else:
                    del flock.moods[number]
                await trio.sleep(rng.uniform(0, 0.3))
            await crowd.sees(1, 2, 3)
        assert crowd.failures == []
