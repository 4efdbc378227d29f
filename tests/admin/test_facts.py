"""What the instance says of itself, in the shapes that Envoy's scrapers know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from trioproxy import __version__
from trioproxy.admin.instance import State
from trioproxy.admin.version import BUILD
from trioproxy.cli.main import main

if TYPE_CHECKING:
    import httpx

    from admin.conftest import FakeInstance


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.LIVE, 200),
        (State.DRAINING, 503),
        (State.INITIALIZING, 503),
        (State.PRE_INITIALIZING, 503),
    ],
)
async def test_ready_is_200_for_live_and_nothing_else(
    client: httpx.AsyncClient, instance: FakeInstance, state: State, status: int
) -> None:
    """A33: 503 INITIALIZING at a cold start, then 200 LIVE."""
    instance.state = state
    answer = await client.get("/ready")
    assert (answer.status_code, answer.text) == (status, f"{state.name}\n")


async def test_what_start_up_waits_for(client: httpx.AsyncClient, instance: FakeInstance) -> None:
    """A33, A85: why it is not ready."""
    assert (await client.get("/init_dump")).json() == {}
    instance.state, instance.missing = State.INITIALIZING, {"app": "no such name", "db": "timeout"}
    answer = await client.get("/ready")
    assert answer.status_code == 503
    assert answer.text == "INITIALIZING\ncluster app: no such name\ncluster db: timeout\n"
    assert (await client.get("/init_dump")).json() == {
        "unready_targets_dumps": [
            {
                "name": "init manager Cluster Manager",
                "target_names": ["cluster app: no such name", "cluster db: timeout"],
            }
        ]
    }


async def test_envoys_headers(client: httpx.AsyncClient) -> None:
    """A85."""
    answer = await client.get("/ready")
    assert dict(answer.headers) == {
        "content-type": "text/plain; charset=UTF-8",
        "cache-control": "no-cache, max-age=0",
        "x-content-type-options": "nosniff",
        "content-length": "5",
    }
    assert (await client.get("/server_info")).headers["content-type"] == "application/json"


async def test_hot_restart_version_is_the_command_lines(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """A07: the two are equal, and there is no newline over HTTP."""
    main(["--hot-restart-version"])
    assert (await client.get("/hot_restart_version")).text == capsys.readouterr().out.rstrip("\n")


async def test_hot_restart_version_when_disabled(
    client: httpx.AsyncClient, instance: FakeInstance
) -> None:
    """A07."""
    instance.options = attrs.evolve(instance.options, disable_hot_restart=True)
    assert (await client.get("/hot_restart_version")).text == "disabled"
    assert (await client.get("/server_info")).json()["hot_restart_version"] == "disabled"


async def test_server_info(client: httpx.AsyncClient) -> None:
    """A85."""
    info = (await client.get("/server_info")).json()
    assert info["version"].split("/")[1] == __version__
    assert info["build"] == BUILD
    assert info["state"] == "LIVE"
    assert (info["uptime_current_epoch"], info["uptime_all_epochs"]) == ("15s", "222s")
    assert info["hot_restart_initializing"] is False
    options = info["command_line_options"]
    wanted = {
        "base_id": "5",
        "concurrency": 2,
        "restart_epoch": 3,
        "drain_time": "30s",
        "parent_shutdown_time": "900s",
        "mode": "Serve",
        "drain_strategy": "Gradual",
        "socket_path": "@trioproxy_domain_socket",
        "socket_mode": 0o600,
        "skip_hot_restart_on_no_parent": False,
        "config_path": "proxy.yaml",
        "admin_address_path": "",
    }
    assert wanted.items() <= options.items()


async def test_the_text_of_a_configuration_is_not_among_the_options(
    client: httpx.AsyncClient, instance: FakeInstance
) -> None:
    instance.options = attrs.evolve(instance.options, config_yaml="password: s3cret")
    assert "s3cret" not in (await client.get("/server_info")).text


async def test_memory_is_texts_of_bytes(client: httpx.AsyncClient) -> None:
    """A85."""
    memory = (await client.get("/memory")).json()
    assert list(memory) == [
        "allocated",
        "heap_size",
        "pageheap_unmapped",
        "pageheap_free",
        "total_thread_cache",
        "total_physical_bytes",
    ]
    assert int(memory["total_physical_bytes"]) > int(memory["allocated"]) > 1_000_000


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/runtime", {"layers": [], "entries": {}}),
    ],
)
async def test_what_is_empty_so_far(client: httpx.AsyncClient, path: str, value: object) -> None:
    """A85."""
    assert (await client.get(path)).json() == value


async def test_contention(client: httpx.AsyncClient) -> None:
    assert "not enabled" in (await client.get("/contention")).text
