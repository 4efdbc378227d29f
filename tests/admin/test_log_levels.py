"""Log levels are shown and set, all of a query or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

    from admin.conftest import FakeInstance


async def test_levels_are_shown(client: httpx.AsyncClient) -> None:
    assert (await client.post("/logging")).text == (
        "active loggers:\n  main: info\n  worker: info\n\n"
    )


@pytest.mark.parametrize(
    ("query", "levels"),
    [
        ("level=debug", {"main": "debug", "worker": "debug"}),
        ("worker=trace", {"main": "info", "worker": "trace"}),
        ("paths=worker:error,main:off", {"main": "off", "worker": "error"}),
        ("group=main:warn", {"main": "warn", "worker": "info"}),
        ("level=debug&main=error", {"main": "error", "worker": "debug"}),
    ],
)
async def test_levels_are_set(
    client: httpx.AsyncClient, instance: FakeInstance, query: str, levels: dict[str, str]
) -> None:
    answer = await client.post(f"/logging?{query}")
    assert answer.status_code == 200
    assert instance.log_levels == levels
    assert all(f"  {name}: {level}\n" in answer.text for name, level in levels.items())


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("level=loud", "unknown level 'loud': expected trace, debug, info,"),
        ("main=debug&nobody=info", "unknown component 'nobody': expected main, worker\n"),
        ("paths=main:debug,worker", "expected component:level, found 'worker'\n"),
        ("paths=:debug", "expected component:level, found ':debug'\n"),
    ],
)
async def test_a_mistake_changes_nothing(
    client: httpx.AsyncClient, instance: FakeInstance, query: str, reason: str
) -> None:
    answer = await client.post(f"/logging?{query}")
    assert answer.status_code == 400
    assert answer.text.startswith(reason)
    assert instance.told == []
