"""A browser through the real proxy."""

from __future__ import annotations

import json
import re
from functools import partial
from html import unescape
from typing import TYPE_CHECKING

import pytest
import trio
from origin import open_origin
from programs import run

if TYPE_CHECKING:
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
      routes: [{match: {prefix: /}, route: {cluster: app}}]
clusters:
- {name: app, endpoints: [$origin]}
"""
PAGE = b"""<!doctype html><title>page</title><pre>nothing yet</pre><script>
  const size = async path => (await (await fetch(path)).arrayBuffer()).byteLength;
  const ask = async () => ({
    sizes: await Promise.all([...Array(20).keys()].map(n => size(`/bytes/${n * 10000}`))),
    streamed: await size("/stream/3000000"),
    posted: await (await fetch("/post", {method: "POST", body: "x".repeat(1000000)})).json(),
  });
  ask().catch(String).then(found => {
    document.querySelector("pre").textContent = JSON.stringify(found);
  });
</script>
"""


@pytest.mark.parametrize("as_proxy", [False, True], ids=["to its address", "as its HTTP proxy"])
async def test_chromium(before: Before, tmp_path: Path, *, as_proxy: bool) -> None:
    chromium = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path}", "--virtual-time-budget=10000", "--dump-dom",
    ]  # fmt: skip
    if as_proxy:
        chromium += [f"--proxy-server={before.url}", "http://example.org/page"]
    else:
        chromium += [f"{before.url}/page"]
    async with open_origin(before.listener(), {b"/page": PAGE}):
        dom = await trio.to_thread.run_sync(partial(run, *chromium, timeout=60))
    found = json.loads(unescape(re.findall("<pre>(.*)</pre>", dom)[0]))
    assert found["sizes"] == [number * 10000 for number in range(20)]
    assert found["streamed"] == 3_000_000
    assert found["posted"]["size"] == 1_000_000
    assert found["posted"]["target"] == "/post"
