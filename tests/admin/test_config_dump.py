"""`/config_dump`: the configuration as a file would say it, secrets out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx


async def test_parts(client: httpx.AsyncClient) -> None:
    """A85."""
    configs = (await client.get("/config_dump")).json()["configs"]
    assert [part["@type"].rpartition(".")[2] for part in configs] == [
        "BootstrapConfigDump",
        "ClustersConfigDump",
        "ListenersConfigDump",
        "ScopedRoutesConfigDump",
        "RoutesConfigDump",
        "SecretsConfigDump",
    ]
    bootstrap, clusters, listeners, *_ = configs
    assert bootstrap["bootstrap"]["drain"]["time"] == "30s"
    assert clusters["static_clusters"][0]["cluster"]["endpoints"][1] == {
        "address": "127.0.0.1:8081",
        "weight": 2,
        "priority": 0,
        "locality": {"region": "", "zone": "", "sub_zone": ""},
        "metadata": {},
        "health_status": "healthy",
    }
    web = listeners["static_listeners"][0]["listener"]
    (manager,) = web["filters"]
    assert manager["http_connection_manager"]["routes"][0]["route"]["timeout"] == "15s"


async def test_secrets_are_out(client: httpx.AsyncClient) -> None:
    answer = await client.get("/config_dump")
    assert "s3cret" not in answer.text
    listeners = answer.json()["configs"][2]["static_listeners"]
    manager = listeners[0]["listener"]["filters"][0]["http_connection_manager"]
    assert manager["request_headers"]["set"] == {"authorization": "[redacted]", "x-team": "edge"}
    assert manager["routes"][0]["match"]["headers"][0]["exact"] == "[redacted]"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("resource=static_clusters", ["app", "pg"]),
        ("resource=static_clusters&name_regex=p.", ["pg"]),
        ("resource=static_listeners&name_regex=w", []),
        ("resource=static_listeners&name_regex=w.*", ["web"]),
    ],
)
async def test_one_resource(client: httpx.AsyncClient, query: str, names: list[str]) -> None:
    configs = (await client.get(f"/config_dump?{query}")).json()["configs"]
    assert [next(iter(item.values()))["name"] for item in configs] == names


async def test_an_unknown_resource_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/config_dump?resource=secrets")
    assert answer.status_code == 400
    assert answer.text == "resource=secrets: expected static_clusters or static_listeners\n"
