"""curl through the real proxy."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from origin import digest, open_origin, pattern

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from conftest import Before

pytestmark = pytest.mark.foreign

YAML = """
listeners:
- name: web
  address: 127.0.0.1:0
  filters:
  - http_connection_manager:
      stat_prefix: web
      upgrades: [connect]
      routes:
      - {match: {connect: true}, route: {cluster: app}}
      - {match: {prefix: /}, route: {cluster: app}}
clusters:
- {name: app, endpoints: [$origin]}
"""
SIZE = 20_000_000


@attrs.frozen
class Curl:
    """Runs curl with the proxy's URL."""

    url: str
    directory: Path

    async def __call__(self, *arguments: str, stdin: bytes = b"") -> tuple[bytes, list[str]]:
        """Return what it received, and what it says of the conversation (`-v`)."""
        command = ["curl", "-sSv", "--max-time", "20", *arguments]
        with trio.fail_after(30):
            done = await trio.run_process(
                command, stdin=stdin, capture_stdout=True, capture_stderr=True, check=False
            )
        said = done.stderr.decode()
        assert done.returncode == 0, said
        return done.stdout, said.splitlines()


@pytest.fixture
async def curl(before: Before, tmp_path: Path) -> AsyncIterator[Curl]:
    async with open_origin(before.listener()):
        yield Curl(before.url, tmp_path)


async def test_one_connection_for_many_requests(curl: Curl) -> None:
    output, said = await curl(*[f"{curl.url}/{number}" for number in range(5)])
    assert output.count(b'"method": "GET"') == 5
    assert len([line for line in said if line.startswith("* Connected to")]) == 1
    assert output.count(b'"connection": 1') == 5


async def test_many_connections_at_once(curl: Curl) -> None:
    urls = [f"{curl.url}/bytes/{1000 * number}" for number in range(1, 21)]
    output, _ = await curl("--parallel", "--parallel-immediate", "--no-buffer", *urls)
    assert len(output) == sum(1000 * number for number in range(1, 21))


async def test_head(curl: Curl) -> None:
    output, _ = await curl("-I", f"{curl.url}/bytes/1234")
    assert b"content-length: 1234\r\n" in output


@pytest.mark.parametrize("framing", ["bytes", "stream"])
@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
async def test_a_download(curl: Curl, framing: str, version: str) -> None:
    output, said = await curl(version, f"{curl.url}/{framing}/{SIZE}")
    assert hashlib.sha256(output).hexdigest() == digest(SIZE)
    chunked = "< transfer-encoding: chunked" in said
    assert chunked == (framing == "stream" and version == "--http1.1")


@pytest.mark.parametrize("framing", ["content-length", "transfer-encoding"])
@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
async def test_an_upload(curl: Curl, framing: str, expect: str) -> None:
    source = curl.directory / "upload"
    source.write_bytes(b"".join(pattern(SIZE)))
    chunked = [] if framing == "content-length" else ["-H", "Transfer-Encoding: chunked"]
    output, said = await curl("-T", str(source), "-H", expect, *chunked, f"{curl.url}/upload")
    facts = json.loads(output)
    assert (facts["method"], facts["size"]) == ("PUT", SIZE)
    assert facts["sha256"] == digest(SIZE)
    assert framing in facts["headers"]
    assert "expect" not in facts["headers"]
    assert ("< HTTP/1.1 100 Continue" in said) == (expect != "Expect:")


async def test_an_upload_in_http_1_0(curl: Curl) -> None:
    output, said = await curl("--http1.0", "-d", "hello", f"{curl.url}/upload")
    assert json.loads(output)["size"] == 5
    assert "< connection: close" in said


async def test_as_its_http_proxy(curl: Curl) -> None:
    output, _ = await curl("-x", curl.url, "http://example.org/a?b")
    facts = json.loads(output)
    assert facts["target"] == "/a?b"
    assert facts["headers"]["host"] == "example.org"
    assert "proxy-connection" not in facts["headers"]


async def test_through_a_connect_tunnel(curl: Curl) -> None:
    url = "http://example.org:80/stream/"
    output, said = await curl("-p", "-x", curl.url, f"{url}{SIZE}", f"{url}1000")
    assert hashlib.sha256(output[:SIZE]).hexdigest() == digest(SIZE)
    assert len(output) == SIZE + 1000
    assert "< HTTP/1.1 200 OK" in said
