"""What the tests of real processes begin with."""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import attrs
import pytest
import trio
from instances import PATIENCE, Instance  # noqa: F401
from witness import YAML, Witness

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

ECHO_PROXY = Path(__file__).with_name("echo_proxy.py")


class StartEcho(Protocol):
    """Starts `echo_proxy.py`."""

    def __call__(
        self,
        listeners: dict[str, str] | None = None,
        *,
        broken: str = "",
        shutdown_time: float = 25.0,
        passed: socket.socket | None = None,
        **options: object,
    ) -> Instance: ...


class Running(Protocol):
    """Runs `trioproxy` itself: a context manager around an instance that serves."""

    def __call__(
        self, yaml: str, directory: Path, *options: str, workers: int = 1
    ) -> AbstractContextManager[Instance]: ...


@contextmanager
def run_proxy(yaml: str, directory: Path, *options: str, workers: int = 1) -> Iterator[Instance]:
    """Run `trioproxy` on a configuration; `directory` is where its paths begin."""
    file = directory / "proxy.yaml"
    file.write_text(yaml)
    command = [sys.executable, "-m", "trioproxy", "-c", str(file), "--use-dynamic-base-id"]
    instance = Instance([*command, "--concurrency", str(workers), *options])
    try:
        instance.wait_serving()
        yield instance
    finally:
        instance.kill_all()


@pytest.fixture(scope="session")
def running() -> Running:
    """`with running(yaml, directory) as proxy:` a real main with real workers."""
    return run_proxy


@attrs.frozen
class Before:
    """A real proxy of two workers before a listen socket; `url` is that of its listener `web`."""

    proxy: Instance
    upstream: socket.socket

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.proxy.ports['web']}"

    def listener(self) -> trio.SocketListener:
        """Return the upstream for one test to serve."""
        return trio.SocketListener(trio.socket.from_stdlib_socket(self.upstream.dup()))


@pytest.fixture(scope="module")
def before(
    request: pytest.FixtureRequest, running: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Before]:
    """The proxy that the module's YAML describes, `$origin` being the address of its upstream."""
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        yaml = request.module.YAML.replace("$origin", "{}:{}".format(*upstream.getsockname()))
        with running(yaml, tmp_path_factory.mktemp("proxy"), workers=2) as proxy:
            yield Before(proxy, upstream)


@pytest.fixture(scope="session")
def witness(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    """Sees what of a client's bytes reaches the upstream of a real proxy."""
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        yaml = YAML.replace("$origin", "{}:{}".format(*upstream.getsockname()))
        with running(yaml, tmp_path_factory.mktemp("proxy")) as proxy:
            yield Witness(upstream, proxy)


_base_ids = iter(range(1000))


@pytest.fixture
def start_echo() -> Iterator[StartEcho]:
    instances: list[Instance] = []

    def start(
        listeners: dict[str, str] | None = None,
        *,
        broken: str = "",
        shutdown_time: float = 25.0,
        passed: socket.socket | None = None,
        **options: object,
    ) -> Instance:
        options = {"base_id": os.getpid() * 1000 + next(_base_ids), "concurrency": 2} | options
        plan = {
            "listeners": {"web": "127.0.0.1:0"} if listeners is None else listeners,
            "broken": broken,
            "shutdown_time": shutdown_time,
            "options": {"base_id": os.getpid() * 1000 + next(_base_ids), "concurrency": 2}
            | options,
        }
        command = [sys.executable, str(ECHO_PROXY), json.dumps(plan)]
        instances.append(Instance(command, passed))
        return instances[-1]

    yield start
    for instance in instances:
        instance.kill_all()


@pytest.fixture
def echo(start_echo: StartEcho) -> Instance:
    """Two workers that serve one listener, `web`."""
    instance = start_echo()
    instance.wait_serving()
    return instance
