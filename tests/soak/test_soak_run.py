"""Whole runs, small ones: straight to the origin, where nothing is lost, and with a lossy proxy."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from soak import __main__ as command
from soak import instance
from soak.ledger import SESSIONS, Kind
from soak.run import Plan, soak
from soak.systems import RESTARTER, SYSTEMS, Ports, Scene, System, Times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
LOSSY = System(
    HERE / "lossy.conf", lambda: Path(sys.executable), f"{HERE}/lossy.py {{config}} {{workers}}"
)
LOAD = (
    "--rate 100 --busy 4 --sleepy 2 --idle 2 --transfer 0.7 --tcp 2 --half-closed 2"
    " --websockets 2 --calm 0.1"
)
TIMES = "--restarts 1 --drain-time-s 0 --parent-shutdown-time-s 0"


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`main("--option ...")` returns the exit status and the figures."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setitem(SYSTEMS, "lossy", LOSSY)

    def run(options: str) -> tuple[int, dict[str, Any]]:
        words = f"soak {LOAD} {TIMES} --results {tmp_path} {options}".split()
        monkeypatch.setattr(sys, "argv", words)
        return command.main(), json.loads((tmp_path / "results.json").read_text())

    yield run
    signal.signal(signal.SIGTERM, before)


def test_where_nothing_is_lost_the_exit_status_is_0(
    main: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, figures = main("--target direct")
    assert (status, figures["lost"]) == (0, 0)
    assert set(figures["outcomes"]) == set(Kind) - {Kind.HTTP2}
    assert all(counts["answered"] for counts in figures["outcomes"].values())
    assert (tmp_path / "results.md").read_text() in capsys.readouterr().out
    assert (tmp_path / "results.svg").exists()


@pytest.mark.slow
def test_a_lossy_proxy_is_caught_with_every_kind_of_client(
    main: Callable[..., Any], tmp_path: Path
) -> None:
    """Its new generation ends the old one at once, and with it all that goes through it.

    The transfers would take half a minute, so they are cut whenever that is.
    """
    status, figures = main("--target lossy --concurrency 1,2 --transfer 30")
    assert status == 1
    for kind, outcome in {
        Kind.BUSY: "closed without notice",
        Kind.DOWNLOAD: "failed",
        Kind.UPLOAD: "failed",
        Kind.TCP: "closed without notice",
        Kind.HALF_CLOSED: "closed without notice",
        Kind.WEBSOCKET: "closed without notice",
    }.items():
        assert figures["outcomes"][kind][outcome] >= 2, kind
    assert figures["outcomes"][Kind.NEW]["answered"]
    (restart,) = figures["restarts"]
    assert restart["workers"] == [1, 2]
    assert restart["survived"] == {kind: [0, 2] for kind in SESSIONS}
    assert restart["ready"] > 0
    assert restart["commanded"] < restart["serving"] <= restart["gone"]
    assert figures["failures"] == []
    assert "epoch 1" in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_trioproxy_restarts_without_a_loss(main: Callable[..., Any]) -> None:
    """A20, A21, A22, A52: equal, fewer and more workers; `scripts/soak` does more of it."""
    status, figures = main(
        "--concurrency 2,2,1 --restarts 3 --rate 400 --busy 48 --sleepy 16 --idle 0"
        " --transfer 2 --tcp 0 --half-closed 0 --websockets 0"
        " --drain-time-s 5 --parent-shutdown-time-s 8"
    )
    assert (figures["losses"], figures["failures"]) == ([], [])
    assert [restart["workers"] for restart in figures["restarts"]] == [[2, 2], [2, 1], [1, 2]]
    assert not any(figures["outcomes"][kind]["told to leave"] for kind in (Kind.BUSY, Kind.SLEEPY))
    assert status == 0


@pytest.mark.slow
def test_however_many_signals_there_are_the_last_generation_is_waited_for(
    main: Callable[..., Any], tmp_path: Path
) -> None:
    """Twenty are two: one start is under way while the other 19 arrive, and one follows."""
    _, figures = main("--target lossy --signals 20")
    assert figures["failures"] == []
    assert len(figures["restarts"]) == 1
    log = (tmp_path / "log").read_text()
    assert re.findall(r"epoch (\d) .* exited with 0", log) == ["0", "1", "2"]
    assert re.search(r"epoch 1 .* exited with 0\n.*SIGTERM", log, re.DOTALL)


@pytest.mark.slow
async def test_a_restart_that_fails_is_a_loss_and_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without workers the lossy proxy finds its configuration wrong."""
    monkeypatch.setattr(instance, "START_TIMEOUT", 2.0)
    said: list[str] = []
    load = Plan(
        rate=50, busy=0, sleepy=0, idle=0, transfer=0, tcp=0, half_closed=0, websockets=0, calm=0
    )
    plan = attrs.evolve(load, restarts=3, workers=(1, 0))
    ledger = await soak(plan, LOSSY, tmp_path, said.append)
    assert ledger.restarts == []
    assert ["did not serve within 2 s" in said[0], len(said)] == [True, 1]
    assert "the configuration is not valid" in ledger.failures[-1]
    assert ledger.lost == len(ledger.failures) == 2


@pytest.mark.slow
async def test_a_proxy_that_does_not_start_is_not_judged(tmp_path: Path) -> None:
    with pytest.raises(instance.SoakError, match="exited with 1 before it was ready"):
        await soak(Plan(workers=(0,)), LOSSY, tmp_path, lambda line: None)


def test_a_generation_is_a_script_that_the_restarter_starts(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Ports(1, 2, 3, 4), Times(5, 8), base_id=7)
    LOSSY.prepare(scene, generation=6, workers=2)
    assert LOSSY.main_command(scene)[1:] == (str(RESTARTER), "--", "/bin/sh", "generation")
    assert (tmp_path / "lossy.conf").read_text() == "1 2 3 4 6\n"
    started = (tmp_path / "generation").read_text().splitlines()[-1]
    assert shlex.split(started)[2:] == [f"{HERE}/lossy.py", "lossy.conf", "2", "$@"]


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_configurations_are_complete(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(System, "command", lambda *_: ("proxy",))
    system.prepare(Scene(tmp_path, Ports(1, 2, 3, 4), Times(5, 8), 7), generation=6, workers=2)
    assert "@" not in (tmp_path / system.template.name).read_text().replace('"@type"', "")


@pytest.mark.parametrize("text", ["", "0", "2,x", "1,,2", "-1"])
def test_workers_are_numbers(text: str) -> None:
    assert command.workers("2,1") == (2, 1)
    with pytest.raises(command.argparse.ArgumentTypeError):
        command.workers(text)


@pytest.mark.slow
def test_a_restart_over_tls_loses_nothing(main: Callable[..., Any]) -> None:
    """A53: connections that cannot move are told to leave, each in its own way."""
    times = "--drain-time-s 2 --parent-shutdown-time-s 4"
    status, figures = main(f"--tls {times} --concurrency 1 --rate 20 --busy-rate 5")
    assert (status, figures["lost"]) == (0, 0)
    assert figures["outcomes"][Kind.BUSY]["told to leave"] >= 4
    assert figures["outcomes"][Kind.WEBSOCKET]["told to leave"] >= 2
