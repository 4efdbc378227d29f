"""Paths, methods and mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.admin.app import ENDPOINTS
from trioproxy.admin.endpoint import Command, Reading

if TYPE_CHECKING:
    import httpx

    from admin.conftest import FakeInstance

COMMANDS = [endpoint.path for endpoint in ENDPOINTS if isinstance(endpoint, Command)]
READINGS = [endpoint.path for endpoint in ENDPOINTS if isinstance(endpoint, Reading)]


def test_what_changes_something() -> None:
    assert COMMANDS == [
        "/connections/close",
        "/drain",
        "/drain_listeners",
        "/healthcheck/fail",
        "/healthcheck/ok",
        "/logging",
        "/quitquitquit",
        "/reopen_logs",
        "/reset_counters",
    ]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("path", COMMANDS)
async def test_a_command_wants_post(
    client: httpx.AsyncClient, instance: FakeInstance, path: str, method: str
) -> None:
    """A84."""
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["x-content-type-options"] == "nosniff"
    if method != "HEAD":
        assert answer.text == f"Method {method} not allowed, POST required."
    assert instance.told == []


@pytest.mark.parametrize("path", READINGS)
async def test_reading_takes_get_and_post_alike(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 200
    assert (await client.post(path)).status_code == 200
    refused = await client.put(path)
    assert (refused.status_code, refused.text) == (405, "Method PUT not allowed, GET required.")


@pytest.mark.parametrize("path", ["/nothing", "/stats/", "/stats/nothing"])
async def test_an_unknown_path_is_answered_with_the_known_ones(
    client: httpx.AsyncClient, path: str
) -> None:
    """A85."""
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.text == "invalid path. " + (await client.get("/help")).text
    assert answer.headers["cache-control"] == "no-cache, max-age=0"


async def test_help_lists_everything(client: httpx.AsyncClient) -> None:
    """A85."""
    lines = (await client.get("/help")).text.splitlines()
    assert lines[0] == "admin commands are:"
    assert "  /quitquitquit (POST): finish what is in flight and exit" in lines
    listed = {line.split()[0].rstrip(":") for line in lines[1:] if line.startswith("  /")}
    assert listed == {*COMMANDS, *READINGS}


async def test_a_mistake_in_the_query_is_told(client: httpx.AsyncClient) -> None:
    answer = await client.get("/stats?filter=(")
    assert answer.status_code == 400
    assert answer.text.startswith("filter: not a regular expression")
