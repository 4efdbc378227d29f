"""`/stats` and `/stats/prometheus`: what is selected, and how it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

    from trioproxy.stats.writer import Writer


@pytest.fixture(autouse=True)
def traffic(worker: Writer) -> None:
    """What a worker has counted."""
    worker.counter("http.ingress.downstream_rq_total").add(31)
    worker.counter("http.ingress.no_route")
    worker.gauge("http.ingress.downstream_cx_active").add(2)
    worker.histogram("http.ingress.downstream_rq_time").record(5.0)
    worker.histogram("http.ingress.downstream_cx_length_ms")


async def test_text(client: httpx.AsyncClient) -> None:
    """A85: `name: value`, histograms last."""
    lines = (await client.get("/stats?filter=^http")).text.splitlines()
    assert lines[:4] == [
        "http.ingress.downstream_cx_active: 2",
        "http.ingress.downstream_rq_total: 31",
        "http.ingress.no_route: 0",
        "http.ingress.downstream_cx_length_ms: No recorded values",
    ]
    assert lines[4].startswith("http.ingress.downstream_rq_time: P0(nan,")


async def test_only_what_was_used(client: httpx.AsyncClient) -> None:
    """A85."""
    text = (await client.get("/stats?usedonly&filter=^http")).text
    assert "downstream_rq_total" in text
    assert "no_route" not in text
    assert "downstream_cx_length_ms" not in text


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("Counters", ["http.ingress.downstream_rq_total", "http.ingress.no_route"]),
        ("Gauges", ["http.ingress.downstream_cx_active"]),
        ("Histograms", ["http.ingress.downstream_cx_length_ms", "http.ingress.downstream_rq_time"]),
        ("TextReadouts", []),
    ],
)
async def test_one_type(client: httpx.AsyncClient, kind: str, names: list[str]) -> None:
    text = (await client.get(f"/stats?type={kind}&filter=^http")).text
    assert [line.partition(":")[0] for line in text.splitlines()] == names


async def test_json(client: httpx.AsyncClient) -> None:
    """A85."""
    answer = await client.get("/stats?format=json&filter=ingress.downstream_(rq_to|rq_ti)")
    assert answer.headers["content-type"] == "application/json"
    number, histograms = answer.json()["stats"]
    assert number == {"name": "http.ingress.downstream_rq_total", "value": 31}
    (computed,) = histograms["histograms"]["computed_quantiles"]
    assert computed["name"] == "http.ingress.downstream_rq_time"


@pytest.mark.parametrize("path", ["/stats/prometheus?", "/stats?format=prometheus&"])
async def test_prometheus(client: httpx.AsyncClient, path: str) -> None:
    """A85."""
    answer = await client.get(f"{path}usedonly&filter=downstream_rq_total")
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    assert answer.text == (
        "# TYPE envoy_http_downstream_rq_total counter\n"
        'envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="ingress"} 31\n'
    )


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("format=html", "format=html: expected text or json or prometheus\n"),
        ("type=Many", "type=Many: expected All or Counters or"),
        ("histogram_buckets=detailed", "histogram_buckets=detailed: expected summary\n"),
        ("filter=[", "filter: not a regular expression"),
    ],
)
async def test_what_is_not_understood_is_refused(
    client: httpx.AsyncClient, query: str, reason: str
) -> None:
    answer = await client.get(f"/stats?{query}")
    assert answer.status_code == 400
    assert answer.text.startswith(reason)


async def test_what_is_hidden_is_not_among_the_statistics(
    client: httpx.AsyncClient, worker: Writer
) -> None:
    from trioproxy.stats.upstream import HostStats

    HostStats(worker, "app", "127.0.0.1:8080").cx_total.add()
    assert "cluster.app.host" not in (await client.get("/stats")).text
