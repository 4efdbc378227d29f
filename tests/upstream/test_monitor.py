from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from trioproxy.config.outlier_detection import OutlierDetection
from trioproxy.stats.health import HostOutcomes
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region
from trioproxy.upstream.monitor import EjectionType, Monitor

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = OutlierDetection(
    consecutive_5xx=3, consecutive_gateway_failure=2, consecutive_local_origin_failure=2
)
SPLIT = attrs.evolve(CONFIG, split_external_local_origin_errors=True)
SHORT = {
    EjectionType.CONSECUTIVE_5XX: "5xx",
    EjectionType.CONSECUTIVE_GATEWAY_FAILURE: "gateway",
    EjectionType.CONSECUTIVE_LOCAL_ORIGIN_FAILURE: "local",
}


@attrs.frozen
class Case:
    monitor: Monitor
    accused: list[str]
    reader: Reader

    def live(self, story: str) -> list[str]:
        """Let a host answer with a status, or not at all (`-`); returns what it is accused of."""
        self.accused.clear()
        for word in story.split():
            if word == "-":
                self.monitor.failed()
            else:
                self.monitor.answered(int(word))
        return self.accused

    def counted(self) -> dict[str, int]:
        found = self.reader.snapshot().hidden.items()
        return {name.rpartition(".")[2]: value for name, value in found if value}


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    with Region.create() as region, region.claim(0, 0) as writer, Reader(region, 0) as reader:
        outcomes, accused = HostOutcomes(writer, "app", "a"), list[str]()
        config = getattr(request, "param", CONFIG)
        monitor = Monitor(config, outcomes, lambda kind: accused.append(SHORT[kind]))
        yield Case(monitor, accused, reader)


@pytest.mark.parametrize(
    ("story", "accused"),
    [
        ("500 500", []),
        ("500 500 500", ["5xx"]),
        ("500 500 404 500 500", []),
        ("500 200 500 100 500", []),
        ("500 500 500 500 500 500", ["5xx", "5xx"]),
        ("503 504", ["gateway"]),
        ("503 500 502", ["5xx"]),
        ("503 501 504 502", ["5xx", "gateway"]),
        ("505 505 505", ["5xx"]),
        ("- -", ["gateway"]),
        ("500 - -", ["gateway", "5xx"]),
    ],
)
def test_rows_of_failures(case: Case, story: str, accused: list[str]) -> None:
    assert case.live(story) == accused


@pytest.mark.parametrize("case", [SPLIT], indirect=True)
@pytest.mark.parametrize(
    ("story", "accused"),
    [
        ("- -", ["local"]),
        ("- 200 -", []),
        ("- 500 -", []),  # it could be reached
        ("500 - 500 500", ["5xx"]),  # no answer says nothing about answers
        ("- - - -", ["local", "local"]),
    ],
)
def test_rows_where_local_origin_is_split_off(case: Case, story: str, accused: list[str]) -> None:
    assert case.live(story) == accused


def test_what_it_counts(case: Case) -> None:
    case.live("200 404 500 503 -")
    assert case.counted() == {"success": 2, "failure": 3}


@pytest.mark.parametrize("case", [SPLIT], indirect=True)
def test_what_it_counts_where_local_origin_is_split_off(case: Case) -> None:
    case.live("200 404 500 503 -")
    case.monitor.connected()
    assert case.counted() == {"success": 2, "failure": 2, "local_success": 5, "local_failure": 1}


def test_a_connection_is_a_success_where_no_more_can_be_seen(case: Case) -> None:
    case.live("500 500")
    case.monitor.connected()
    assert case.live("500 500") == []
    assert case.counted() == {"success": 1, "failure": 4}


def test_a_new_row_begins_when_it_is_reset(case: Case) -> None:
    case.live("500 500")
    case.monitor.reset()
    assert case.live("500 500") == []
