"""The benchmark's judgement: what counts as an answer, how figures become ratios and a plot."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

import pytest

from benchmarks import run
from benchmarks.load import check_h2load, check_redis, parse_wrk
from benchmarks.origin import parse_request_count
from benchmarks.plot import svg
from benchmarks.process import BenchError, handle_of, running, wait_until
from benchmarks.publish import Results, replaced
from benchmarks.report import Ratio, markdown, ratio_of, row_of
from benchmarks.run import Outcome, Plan, compare
from benchmarks.systems import SYSTEMS, TEMPLATES
from benchmarks.works import Work, parse_perf, reaching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRK = '{"requests": %d, "bytes": 6400, "errors": {"connect": 0, "read": %d, "status": %d}}'
WORK = Work("http", "HTTP & more", "us/request", lambda target, seconds: 0.0)
OUTCOME = Outcome(
    {"envoy": [40.0, 80.0, 50.0], "haproxy": [10.0, 20.0, 25.0]}, {"nginx": "BenchError: 502"}
)
NAMES = ["envoy", "haproxy", "nginx"]


def test_wrk_counts_answers_behind_what_it_prints_itself() -> None:
    assert parse_wrk("Running 1s test\n" + WRK % (100, 0, 0) + "\n", response_bytes=64) == 100


@pytest.mark.parametrize(
    ("output", "response_bytes"),
    [
        (WRK % (100, 1, 0), 0),
        (WRK % (100, 0, 1), 0),
        (WRK % (0, 0, 0), 0),
        (WRK % (100, 0, 0), 65),
        ("unable to connect", 0),
        ("", 0),
    ],
    ids=["read error", "status", "no answer", "short bodies", "no result", "silence"],
)
def test_wrk_answers_that_are_not_right_fail_the_run(output: str, response_bytes: int) -> None:
    with pytest.raises(BenchError):
        parse_wrk(output, response_bytes)


def test_redis_benchmark_must_print_a_result() -> None:
    check_redis('"test","rps"\n"ECHO xxx","64956.16","0.329"\n')
    for output in ('"test","rps"\n', "Error: Server closed the connection", '"ECHO x","0.00"'):
        with pytest.raises(BenchError):
            check_redis(output)


H2LOAD = """\
requests: %d total, 10 started, 10 done, %d succeeded, %d failed, 0 errored, 0 timeout
status codes: %d 2xx, 0 3xx, 0 4xx, 0 5xx
"""


def test_h2load_must_have_every_answer() -> None:
    check_h2load(H2LOAD % (10, 10, 0, 10), 10)
    for output in (H2LOAD % (10, 9, 1, 9), H2LOAD % (10, 10, 0, 9), ""):
        with pytest.raises(BenchError):
            check_h2load(output, 10)


def test_answers_that_the_origin_did_not_give_fail_the_run() -> None:
    seen = iter([10, 110, 110, 209])
    assert reaching(lambda: next(seen), lambda: 100) == 100
    with pytest.raises(BenchError):
        reaching(lambda: next(seen), lambda: 100)


def test_counts_are_read_from_nginx_and_perf() -> None:
    page = "Active connections: 2 \nserver accepts handled requests\n 7 7 1234 \nReading: 0\n"
    assert parse_request_count(page) == 1234
    assert parse_perf("# started\n\n4711,,raw_syscalls:sys_enter,900,100.00,,\n") == 4711
    with pytest.raises(BenchError):
        parse_request_count("404")
    with pytest.raises(BenchError):
        parse_perf("<not counted>,,raw_syscalls:sys_enter,0,0.00,,\n")


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    assert ratio_of([10.0, 20.0, 25.0], [40.0, 80.0, 50.0]) == Ratio(0.25, 0.25, 0.5)
    assert ratio_of([10.0], []) is None
    assert ratio_of([10.0], [0.0]) is None


def test_the_table_shows_figures_ratios_and_failures() -> None:
    table = markdown([row_of(WORK, OUTCOME)], NAMES).splitlines()
    assert table[0] == "| work | unit | Envoy | HAProxy | nginx |"
    row = "| HTTP & more | us/request | 50.0 | 20.0 · **0.25** (0.25..0.50) | failed |"
    assert table[2] == row


def test_the_plot_is_well_formed_and_draws_a_bar_for_each_that_did_not_fail() -> None:
    root = ElementTree.fromstring(svg([row_of(WORK, OUTCOME)], NAMES))
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    bars = [rect for rect in root.iter() if rect.tag.endswith("rect") and rect.get("x") == "250"]
    assert {"HTTP & more", "0.25 (20.0)", "failed"} <= set(words)
    assert [bar.get("width") for bar in bars[1:]] == ["253.3", "63.3"]  # after Envoy's legend


def test_a_ratio_past_the_scale_stays_inside_the_plot() -> None:
    slow = Outcome({"envoy": [1.0], "nginx": [90.0]})
    root = ElementTree.fromstring(svg([row_of(WORK, slow)], ["envoy", "nginx"]))
    widths = [float(rect.get("width", "0")) for rect in root.iter() if rect.tag.endswith("rect")]
    assert max(widths[1:]) == 380.0


def test_systems_take_turns_and_a_failing_one_drops_out(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    @contextlib.contextmanager
    def serving(system: object, *_: object) -> Iterator[object]:
        yield system

    def measure(target: object, _seconds: float) -> float:
        assert isinstance(target, type(SYSTEMS["envoy"]))
        turns.append(target.name)
        if target.name == "nginx" and turns.count("nginx") == 2:
            raise BenchError("502")
        return float(len(turns))

    monkeypatch.setattr(run, "serving", serving)
    systems = [SYSTEMS["envoy"], SYSTEMS["nginx"]]
    plan = Plan(rounds=3, seconds=1, warm_up=0, core=0)
    work = Work("w", "W", "us", measure)
    outcome = compare(work, systems, object(), plan, lambda _: None)  # type: ignore[arg-type]
    assert turns == ["envoy", "nginx", "envoy", "nginx", "envoy"]
    assert outcome == Outcome({"envoy": [1.0, 3.0, 5.0]}, {"nginx": "BenchError: 502"})


@pytest.mark.parametrize("protocol", ["http", "l4"])
def test_every_system_has_a_configuration_of_each_kind(protocol: str) -> None:
    templates = {path.name for path in (TEMPLATES / protocol).iterdir()}
    assert templates == {system.template for system in SYSTEMS.values()}


def test_results_replace_the_last_ones_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n")
    versions = {"envoy": "envoy 1.40"}
    told = {"date": "D", "rounds": 5, "seconds": 3.0, "python": "3", "kernel": "6"}
    results = Results("| table |\n", "<svg/>", {**told, "versions": versions})
    results.publish(tmp_path)
    results.publish(tmp_path)
    text = page.read_text()
    assert text.startswith("before\n<!-- results -->\n![")
    assert text.endswith("envoy 1.40.\n<!-- end of results -->\nafter\n")
    assert text.count("| table |") == 1
    assert (tmp_path / "benchmarks.svg").read_text() == "<svg/>"
    with pytest.raises(BenchError):
        replaced("no marks", "text")


def test_a_program_ends_with_its_whole_tree(tmp_path: Path) -> None:
    child = "import time; sum(range(10_000_000)); print('up', flush=True); time.sleep(600)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    core = min(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        with running([sys.executable, "-c", parent], core, tmp_path) as program:
            wait_until(program, lambda: "up" in program.tail(), 30)
            handles = [stack.enter_context(handle_of(pid)) for pid in program.tree()]
            assert program.memory() > 0
            assert program.cpu_seconds() > 0
        assert len(handles) == 2
        for handle in handles:
            assert select.select([handle], [], [], 10)[0], "a process outlived its program"
