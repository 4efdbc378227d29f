"""How figures become tables and a plot."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import attrs
import pytest

from soak.ledger import KEPT_LOSSES, Kind, Ledger, Outcome, Phase, Restart
from soak.plot import duration, round_moments, svg
from soak.report import document, markdown, percentile, slowest, spread, table


class Clock:
    """A time that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def cells(text: str, title: str) -> list[str]:
    """The row of a Markdown table that begins with `title`."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    return next(row for row in rows if row and row[0] == title)


@pytest.fixture
def told() -> Ledger:
    """One restart at 2 s, which took 0.5 s and 5 s; one of three sessions survived it."""
    clock = Clock()
    ledger = Ledger(clock)
    for at, phase, seconds in (
        (1.5, Phase.CALM, 0.010),
        (2.25, Phase.STARTING, 0.040),
        (3.25, Phase.DRAINING, 0.030),
        (5.0, Phase.DRAINING, 0.050),
    ):
        clock.now, ledger.phase = 100 + at, phase
        ledger.answered(Kind.NEW, at - seconds)
    ledger.lagged(0.002)
    ledger.note(Kind.BUSY, Outcome.TOLD)
    ledger.note(Kind.BUSY, Outcome.CLOSED, "idle: EOF & more")
    ledger.restarts.append(Restart((2, 1), 2.0, 2.5, 7.5, 0.31, {Kind.TCP: (1, 3)}, lost=1))
    return ledger


def test_the_tables_tell_what_clients_saw(told: Ledger) -> None:
    text = markdown(told)
    assert cells(text, "new connections") == ["new connections", "4", "0", "0", "0", "-"]
    assert cells(text, "busy keep-alive") == ["busy keep-alive", "0", "0", "1", "1", "-"]
    assert cells(text, "new connection")[1:] == [
        "10.0 / 10.0 / 10.0",
        "40.0 / 40.0 / 40.0",
        "30.0 / 50.0 / 50.0",
    ]
    assert cells(text, "(load generator late)")[3] == "2.0 / 2.0 / 2.0"
    assert cells(text, "2 -> 1") == ["2 -> 1", "500", "310", "5.00", "10.0", "40.0", "1"]
    assert "at 5.00 s (+3.00 s in restart 1), draining: busy keep-alive, closed without" in text
    assert told.lost == 1


def test_sessions_are_counted_by_who_survived(told: Ledger) -> None:
    told.note(Kind.TCP, Outcome.CLOSED)
    assert cells(markdown(told), "TCP sessions")[-1] == "1 of 3"


def test_a_failed_restart_is_a_loss_and_said(told: Ledger) -> None:
    told.failures.append("generation 2 ended")
    assert told.lost == 2
    assert "FAILED: generation 2 ended" in markdown(told)


def test_countless_losses_are_counted_but_not_kept(told: Ledger) -> None:
    for _ in range(KEPT_LOSSES):
        told.note(Kind.NEW, Outcome.FAILED, "EOF")
    assert told.lost == KEPT_LOSSES + 1
    assert len(told.losses) == KEPT_LOSSES
    assert f"... and {KEPT_LOSSES + 1 - 10} more" in markdown(told)


def test_the_document_is_json_with_everything(told: Ledger) -> None:
    read = json.loads(json.dumps(document(told, {"target": "t"})))
    assert (read["target"], read["lost"]) == ("t", 1)
    assert read["outcomes"]["busy keep-alive"]["closed without notice"] == 1
    assert read["latency_ms"]["new connection"]["draining"] == {
        "count": 2,
        "p50": 30.0,
        "p99": 50.0,
        "max": 50.0,
    }
    assert read["restarts"][0]["survived"] == {"TCP sessions": [1, 3]}
    assert read["losses"][0]["detail"] == "idle: EOF & more"


def test_the_slowest_is_looked_for_where_it_was_felt(told: Ledger) -> None:
    assert slowest(told, 0.0, 2.0) == pytest.approx(0.010)
    assert slowest(told, 2.0, 3.5) == pytest.approx(0.040)
    assert slowest(told, 8.0, 9.0) == 0.0


def test_percentiles() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    assert percentile([7.0], 0.5) == 7.0
    assert spread([]) == "-"


def test_tables_are_aligned() -> None:
    assert table(["", "nn"], [["abc", "1"]]) == (
        "|     | nn |\n"
        "| --- | -: |\n"
        "| abc |  1 |\n"
    )  # fmt: skip


def elements(ledger: Ledger, name: str) -> list[ElementTree.Element]:
    """All elements of the plot in a class."""
    root = ElementTree.fromstring(svg(ledger, "a < b"))
    return [element for element in root.iter() if element.get("class") == name]


def test_the_plot_shows_losses_and_restarts_in_both_panels(told: Ledger) -> None:
    """Each loss and each stage once in the run, once laid over; the legend is one more."""
    assert len(elements(told, "lost")) == 3
    assert len(elements(told, "starting")) == len(elements(told, "draining")) == 3
    assert len(elements(told, "curve")) == 6


def test_a_run_without_answers_and_restarts_can_be_drawn() -> None:
    ledger = Ledger(Clock())
    assert len(elements(ledger, "lost")) == 1
    assert elements(ledger, "curve") == []


def test_a_restart_without_a_known_start_is_told_without(told: Ledger) -> None:
    told.restarts[0] = attrs.evolve(told.restarts[0], ready=None)
    assert cells(markdown(told), "2 -> 1")[2] == "-"


def test_scales_are_round() -> None:
    assert round_moments(0.0, 205.0) == [0, 50, 100, 150, 200]
    assert round_moments(-1.0, 9.4)[:3] == [0, 2, 4]
    assert [duration(10.0**power) for power in (-4, -1, 1)] == ["0.1 ms", "100 ms", "10 s"]
