"""The page for people."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

import attrs

from trioproxy.admin.app import ENDPOINTS
from trioproxy.admin.instance import State
from trioproxy.stats.downstream import HttpStats, ListenerStats

if TYPE_CHECKING:
    import httpx

    from admin.conftest import FakeInstance
    from trioproxy.stats.writer import Writer


async def test_the_page_shows_the_main_figures(client: httpx.AsyncClient, worker: Writer) -> None:
    listener = ListenerStats(worker, "127.0.0.1_0")
    listener.downstream_cx_active.add(3)
    listener.downstream_cx_total.add(1234)
    for prefix in ("ingress", "egress"):
        HttpStats(worker, prefix).downstream_rq_total.add(1_000)
    page = (await client.get("/")).text
    assert "<dt>HTTP requests</dt><dd>2,000</dd>" in page
    assert "<td>web 127.0.0.1:18401</td><td>3</td><td>1,234</td>" in page
    assert "<td>db /run/db.sock</td><td>0</td><td>0</td>" in page
    assert '<span class="state live">LIVE</span>' in page
    assert "epoch 3, 2 workers" in page


async def test_the_page_leads_everywhere(client: httpx.AsyncClient) -> None:
    page = (await client.get("/")).text
    for endpoint in ENDPOINTS:
        assert f'href="{endpoint.path}"' in page or f'action="{endpoint.path}' in page
    assert 'action="/drain?cancel"' in page


async def test_the_page_loads_nothing_and_is_framed_by_nobody(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=UTF-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
    assert "http://" not in answer.text


async def test_names_are_text(client: httpx.AsyncClient, instance: FakeInstance) -> None:
    first, *rest = instance.config.clusters
    nasty = attrs.evolve(first, name="<script>$state")
    instance.config = attrs.evolve(instance.config, clusters=(nasty, *rest))
    page = (await client.get("/")).text
    assert "<td>&lt;script&gt;$state</td>" in page


async def test_another_state_looks_different(
    client: httpx.AsyncClient, instance: FakeInstance
) -> None:
    instance.state = State.DRAINING
    assert '<span class="state ">DRAINING</span>' in (await client.get("/")).text
