"""Commands reach the instance, and are answered OK."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.admin.app import make_app

if TYPE_CHECKING:
    import httpx
    from starlette.types import Message

    from admin.conftest import FakeInstance
    from trioproxy.admin.view import View
    from trioproxy.stats.writer import Writer


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/reopen_logs", "reopen logs"),
        ("/quitquitquit", "leave"),
        ("/drain_listeners", "drain graceful=False keep_open=False"),
        ("/drain_listeners?graceful", "drain graceful=True keep_open=False"),
        ("/drain_listeners?inboundonly&skip_exit", "drain graceful=False keep_open=True"),
        ("/drain?cancel", "cancel drain"),
        ("/connections/close?id=3.0.17", "close 3 0 17"),
    ],
)
async def test_a_command_is_passed_on(
    client: httpx.AsyncClient, instance: FakeInstance, path: str, told: str
) -> None:
    """A84."""
    answer = await client.post(path)
    assert (answer.status_code, answer.text) == (200, "OK\n")
    assert instance.told == [told]


async def test_a_drain_that_cannot_be_undone(
    client: httpx.AsyncClient, instance: FakeInstance
) -> None:
    instance.too_late = "it is gone"
    answer = await client.post("/drain?cancel")
    assert (answer.status_code, answer.text) == (409, "it is gone\n")


async def test_a_connection_that_cannot_be_closed(
    client: httpx.AsyncClient, instance: FakeInstance
) -> None:
    instance.too_late = "it is gone"
    answer = await client.post("/connections/close?id=3.0.17")
    assert (answer.status_code, answer.text) == (409, "it is gone\n")


@pytest.mark.parametrize("said", ["", "?id", "?id=3", "?id=3.0.x", "?id=3.0.1.7", "?id=3.-1.7"])
async def test_a_connection_is_closed_by_its_id(
    client: httpx.AsyncClient, instance: FakeInstance, said: str
) -> None:
    answer = await client.post(f"/connections/close{said}")
    assert answer.status_code == 400
    assert answer.text.startswith("expected id=epoch.worker.number")
    assert not instance.told


async def test_to_drain_has_a_path_of_its_own(
    client: httpx.AsyncClient, instance: FakeInstance
) -> None:
    answer = await client.post("/drain")
    assert answer.status_code == 400
    assert "/drain_listeners" in answer.text
    assert not instance.told


async def test_counters_are_reset_and_gauges_are_not(
    client: httpx.AsyncClient, view: View, worker: Writer
) -> None:
    """A86."""
    worker.counter("rq_total").add(5)
    assert (await client.post("/reset_counters")).text == "OK\n"
    snapshot = view.stats.snapshot()
    assert snapshot.counters["rq_total"] == 0
    assert snapshot.counters["cluster_manager.cluster_added"] == 0
    assert snapshot.gauges["cluster_manager.active_clusters"] == 2


async def test_health_can_be_failed_and_restored(client: httpx.AsyncClient) -> None:
    assert (await client.post("/healthcheck/fail")).text == "OK\n"
    failed = await client.get("/ready")
    assert (failed.status_code, failed.text) == (503, "DRAINING\n")
    assert (await client.post("/healthcheck/ok")).text == "OK\n"
    assert (await client.get("/ready")).status_code == 200


async def test_the_answer_is_sent_before_the_instance_leaves(
    view: View, instance: FakeInstance
) -> None:
    seen: list[tuple[str, bool]] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        seen.append((message["type"], "leave" in instance.told))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/quitquitquit",
        "query_string": b"",
        "headers": [],
    }
    await make_app(view)(scope, receive, send)
    assert seen == [("http.response.start", False), ("http.response.body", False)]
    assert instance.told == ["leave"]
