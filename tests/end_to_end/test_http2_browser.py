"""A browser that speaks HTTP/2 to the real proxy, over TLS."""

from __future__ import annotations

import json
import re
from functools import partial
from html import unescape
from typing import TYPE_CHECKING

import pytest
import trio
from browser import COMMAND
from origin import open_origin
from programs import run
from test_browser import PAGE

if TYPE_CHECKING:
    from pathlib import Path

    from certificates import Authority
    from conftest import Running

pytestmark = pytest.mark.foreign

YAML = """
listeners:
- name: web
  address: 127.0.0.1:0
  tls: {{certificate: {pair.certificate}, private_key: {pair.private_key}, alpn: [h2, http/1.1]}}
  filters:
  - http_connection_manager:
      stat_prefix: web
      routes: [{{match: {{prefix: /}}, route: {{cluster: app}}}}]
clusters:
- {{name: app, endpoints: ["127.0.0.1:{port}"]}}
"""

USED = b"performance.getEntries().map(each => each.nextHopProtocol).filter(Boolean)"


async def test_chromium(running: Running, authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue("localhost")
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    yaml = YAML.format(pair=pair, port=listener.socket.getsockname()[1])
    page = PAGE.replace(b"JSON.stringify(found)", b"JSON.stringify({...found, used: %b})" % USED)
    with running(yaml, tmp_path) as proxy:
        url = f"https://localhost:{proxy.ports['web']}/page"
        options = [f"--user-data-dir={tmp_path}/browser", "--ignore-certificate-errors"]
        options += ["--virtual-time-budget=10000", "--dump-dom", url]
        async with open_origin(listener, {b"/page": page}):
            dom = await trio.to_thread.run_sync(partial(run, *COMMAND, *options, timeout=60))
    found = json.loads(unescape(re.findall("<pre>(.*)</pre>", dom)[0]))
    assert set(found["used"]) == {"h2"}
    assert found["sizes"] == [number * 10000 for number in range(20)]
    assert found["streamed"] == 3_000_000
    assert found["posted"]["size"] == 1_000_000
