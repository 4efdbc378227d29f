"""Pages of other sites get nothing, not even through the operator's own browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from trioproxy.admin.app import make_app

if TYPE_CHECKING:
    from admin.conftest import FakeInstance
    from trioproxy.admin.view import View


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9901",
        "127.0.0.1",
        "[::1]:9901",
        "[::1]",
        "10.1.2.3:9901",
        "localhost:9901",
        "LOCALHOST.",
        "admin.localhost:9901",
        "proxy-1:9901",
        "",
    ],
)
async def test_addresses_and_local_names_are_served(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/ready", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example:9901", "127.0.0.1.evil.example", "localhost.evil.example:9901"]
)
async def test_a_name_that_may_be_a_strangers_is_refused(
    client: httpx.AsyncClient, host: str
) -> None:
    answer = await client.get("/config_dump", headers={"host": host})
    assert answer.status_code == 403
    assert answer.text == f"Host {host} is not known here: use the address.\n"


async def test_a_name_that_the_operator_allows_is_served(view: View) -> None:
    app = make_app(view, allow_hosts=["Proxy.Example"])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://proxy.example:9901"
    ) as client:
        assert (await client.get("/ready")).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://127.0.0.1", "http://127.0.0.1:8080", "https://x", "null"],
)
async def test_a_foreign_page_may_change_nothing(
    client: httpx.AsyncClient, instance: FakeInstance, origin: str
) -> None:
    answer = await client.post("/quitquitquit", headers={"origin": origin})
    assert answer.status_code == 403
    assert answer.text == f"Origin {origin} may not change anything here.\n"
    assert instance.told == []


async def test_our_own_page_may(client: httpx.AsyncClient, instance: FakeInstance) -> None:
    answer = await client.post("/quitquitquit", headers={"origin": "http://127.0.0.1:9901"})
    assert answer.status_code == 200
    assert instance.told == ["leave"]


async def test_a_foreign_page_may_ask_but_not_read(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ready", headers={"origin": "http://evil.example"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
