"""`/listeners`: names and the addresses that were really taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


async def test_text(client: httpx.AsyncClient) -> None:
    """A85."""
    answer = await client.get("/listeners")
    assert answer.text == "web::127.0.0.1:18401\ndb::/run/db.sock\n"


async def test_json(client: httpx.AsyncClient) -> None:
    """A85."""
    answer = await client.get("/listeners?format=json")
    assert answer.json() == {
        "listener_statuses": [
            {
                "name": "web",
                "local_address": {"socket_address": {"address": "127.0.0.1", "port_value": 18401}},
            },
            {"name": "db", "local_address": {"pipe": {"path": "/run/db.sock"}}},
        ]
    }
