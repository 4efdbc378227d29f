"""A snapshot in Prometheus' text format, with Envoy's metric names and labels."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

import attrs

from trioproxy.stats.text import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from trioproxy.stats.snapshot import Distribution, Snapshot

AnyValue = TypeVar("AnyValue", int, "Distribution")

LE = (
    *(0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000),
    *(300_000, 600_000, 1_800_000, 3_600_000),
)
"""The upper bounds of the buckets that Envoy reports."""

_LABELS = {
    "envoy_response_code": r"_rq(?P<cut>_(?P<value>\d{3}))$",
    "envoy_response_code_class": r"_rq_(?P<cut>(?P<value>\d))xx$",
    "envoy_worker_id": r"^(?:listener\..*|server)\.worker_(?P<cut>(?P<value>\d+)\.)",
    "envoy_tcp_prefix": r"^tcp\.(?P<cut>(?P<value>.*)\.)",
    # A cluster or a listener's path may have dots in its name (Envoy takes the first for the end):
    # it ends where only a statistic follows, or a known scope and a statistic.
    "envoy_cluster_name": r"^cluster\.(?P<cut>(?P<value>.*?)\.)"
    r"(?=(?:(?:circuit_breakers\.\w+|outlier_detection|health_check|ssl|http[123])\.)?[^.]+$)",
    "envoy_http_conn_manager_prefix": r"^(?:listener\..*\.)?http\.(?P<cut>(?P<value>[^.]*)\.)",
    "envoy_listener_address": r"^listener\.(?!admin\.)(?P<cut>(?P<value>.*?)\.)"
    r"(?=(?:(?:ssl|http)\.)?[^.]+$)",
}
"""Where a label's value stands in a name, and what is cut out of the name with it."""

_PATTERNS = [(label, re.compile(pattern)) for label, pattern in _LABELS.items()]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@attrs.frozen(order=True)
class Series:
    """A statistic as a metric's name and its labels, written as they stand between the braces."""

    metric: str
    labels: tuple[str, ...]

    def line(self, suffix: str, value: float, *more: str) -> str:
        """Return one sample, with `more` labels where there are any."""
        return f"{self.metric}{suffix}{{{','.join((*self.labels, *more))}}} {number(value)}\n"


def render_prometheus(snapshot: Snapshot) -> str:
    """Return all counters, then gauges, then histograms, grouped by metric."""
    return "".join(
        [
            *_metrics("counter", snapshot.counters, _plain),
            *_metrics("gauge", snapshot.gauges, _plain),
            *_metrics("histogram", snapshot.histograms, _histogram),
        ]
    )


def series(name: str) -> Series:
    """Return the metric and the labels that a statistic's name stands for."""
    labels = []
    for label, pattern in _PATTERNS:
        if match := pattern.search(name):
            labels.append(f'{label}="{match["value"].translate(_ESCAPES)}"')
            name = name[: match.start("cut")] + name[match.end("cut") :]
    return Series("envoy_" + re.sub(r"\W", "_", name, flags=re.ASCII), tuple(labels))


def _metrics(
    kind: str,
    values: Mapping[str, AnyValue],
    lines: Callable[[Series, AnyValue], Iterator[str]],
) -> Iterator[str]:
    samples = sorted(((series(name), value) for name, value in values.items()), key=_first)
    for metric, group in groupby(samples, key=lambda sample: sample[0].metric):
        yield f"# TYPE {metric} {kind}\n"
        for of, value in group:
            yield from lines(of, value)


def _first(sample: tuple[Series, AnyValue]) -> Series:
    return sample[0]


def _plain(of: Series, value: int) -> Iterator[str]:
    yield of.line("", value)


def _histogram(of: Series, value: Distribution) -> Iterator[str]:
    for bound in LE:
        yield of.line("_bucket", value.count_to(bound), f'le="{number(bound)}"')
    yield of.line("_bucket", value.count, 'le="+Inf"')
    yield of.line("_sum", value.sum)
    yield of.line("_count", value.count)
