"""redis-cli and psql through the real proxy, bytes alone, to the servers that they are made for."""

from __future__ import annotations

import signal
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest
from programs import PATIENCE, postgres, redis, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Running

    Client = Callable[..., str]

pytestmark = pytest.mark.foreign

YAML = """
listeners:
- name: db
  address: 127.0.0.1:0
  filters: [{tcp_proxy: {stat_prefix: db, cluster: db}}]
clusters:
- {name: db, endpoints: ["unix:$socket"]}
"""
ROWS = 200_000


@pytest.fixture(scope="module")
def redis_port(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis() as socket:
        yaml = YAML.replace("$socket", str(socket))
        with running(yaml, tmp_path_factory.mktemp("proxy"), workers=2) as proxy:
            yield str(proxy.ports["db"])


@pytest.fixture
def redis_cli(redis_port: str) -> Client:
    return partial(run, "redis-cli", "-p", redis_port)


def test_redis_cli(redis_cli: Client) -> None:
    assert redis_cli("ping") == "PONG\n"
    large = "x" * 10_000_000
    assert redis_cli("-x", "set", "large", stdin=large) == "OK\n"
    assert redis_cli("get", "large") == large + "\n"


def test_redis_cli_pipelines(redis_cli: Client) -> None:
    commands = "".join(f"SET key{number} {number}\r\n" for number in range(50_000))
    assert "errors: 0, replies: 50000" in redis_cli("--pipe", stdin=commands)
    assert redis_cli("get", "key49999") == "49999\n"


def test_redis_cli_subscribes(redis_port: str, redis_cli: Client) -> None:
    command = ["redis-cli", "-p", redis_port, "subscribe", "news"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as subscriber:
        assert subscriber.stdout
        assert [subscriber.stdout.readline() for _ in range(3)] == ["subscribe\n", "news\n", "1\n"]
        redis_cli("publish", "news", "hello")
        assert [subscriber.stdout.readline() for _ in range(3)] == [
            "message\n",
            "news\n",
            "hello\n",
        ]
        subscriber.terminate()


def test_redis_benchmark(redis_port: str) -> None:
    options = ["-c", "50", "-n", "20000", "-P", "8", "-q", "-t", "set,get"]
    said = run("redis-benchmark", "-p", redis_port, *options)
    assert said.count("requests per second") == 2


@pytest.fixture(scope="module")
def psql_command(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with postgres() as socket:
        yaml = YAML.replace("$socket", str(socket))
        with running(yaml, tmp_path_factory.mktemp("proxy"), workers=2) as proxy:
            port = str(proxy.ports["db"])
            yield ["psql", "-h", "127.0.0.1", "-p", port, "-U", "test", "-XAtq", "postgres"]


@pytest.fixture
def psql(psql_command: list[str]) -> Client:
    return partial(run, *psql_command)


def test_psql(psql: Client) -> None:
    assert psql("-c", "select 6 * 7") == "42\n"
    said = psql(stdin="begin; create table t (a int); select count(*) from t; rollback; table t;")
    assert said.startswith("0\nERROR:")


def test_psql_copies(psql: Client) -> None:
    rows = "".join(f"{number}\t{'x' * 50}\n" for number in range(ROWS))
    psql("-c", "create table copied (number int, text text)")
    psql("-c", "\\copy copied from stdin", stdin=rows)
    assert psql("-c", "select count(*), sum(number) from copied") == f"{ROWS}|{sum(range(ROWS))}\n"
    assert psql("-c", "\\copy (select * from copied order by number) to stdout") == rows


def test_psql_cancels(psql_command: list[str], psql: Client) -> None:
    """A cancel goes over a connection of its own, which the server closes without a word."""
    query = "select pg_sleep(60)"
    command = [*psql_command, "-c", query]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as sleeper:
        count = f"select count(*) from pg_stat_activity where query = '{query}'"
        while psql("-c", count) != "1\n":
            pass
        sleeper.send_signal(signal.SIGINT)
        _, said = sleeper.communicate(timeout=PATIENCE)
    assert "canceling statement due to user request" in said
