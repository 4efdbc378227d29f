"""The restarter, with generations that are puppets: who is started, and what a failure costs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.puppets import PUPPET, RESTARTER, Stage
from trioproxy.cli.arguments import parse

if TYPE_CHECKING:
    from types import ModuleType

AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""
SHIPPED = sorted(path for path in (RESTARTER.parents[1] / "configs").rglob("*") if path.is_file())
SHIPPED = [path for path in SHIPPED if b"trioproxy-hot-restarter" in path.read_bytes()]


# Starting


def test_the_first_generation_gets_its_epoch_and_a_session_of_its_own(stage: Stage) -> None:
    stage.start()
    first = stage.serve()
    assert first.arguments == ["-c", "file", "--restart-epoch", "0"]
    assert first.epoch == "0"
    assert first.session == first.pid


def test_sighup_validates_and_then_starts_the_next_epoch(stage: Stage) -> None:
    stage.start()
    stage.serve()
    stage.hang_up()
    look = stage.next()
    assert look.arguments == ["-c", "file", "--restart-epoch", "1", "--mode", "validate"]
    look.exit(0)
    second = stage.next()
    assert second.arguments == ["-c", "file", "--restart-epoch", "1"]
    assert second.epoch == "1"


def test_an_executable_alone_is_started_without_arguments(stage: Stage) -> None:
    """A14: as Envoy's restarter does it; the epoch is in the environment."""
    stage.start(command=(stage.script(),))
    assert stage.serve().arguments == ["from", "script", "0"]
    stage.hang_up()
    assert stage.next().arguments == ["from", "script", "1"]


def test_auto_is_said_each_time(stage: Stage) -> None:
    stage.start("--restart-epoch", "auto")
    assert stage.serve().arguments[-2:] == ["--restart-epoch", "auto"]
    stage.hang_up()
    assert stage.serve().epoch == "auto"


def test_who_found_its_parent_says_its_epoch(stage: Stage) -> None:
    stage.start("--restart-epoch", "auto")
    first = stage.next()
    first.say("READY=1|X_TRIOPROXY_EPOCH=6")
    assert f"epoch 6 (pid {first.pid}) serves" in stage.wait_for("serves")


def test_an_epoch_that_makes_no_sense_is_ignored(stage: Stage) -> None:
    stage.start()
    stage.next().say("READY=1|X_TRIOPROXY_EPOCH=six")
    stage.wait_for("serves")
    stage.hang_up()
    assert stage.serve().epoch == "1"


def test_epochs_count_from_the_first(stage: Stage) -> None:
    stage.start("--restart-epoch=7")
    assert stage.serve().epoch == "7"
    stage.hang_up()
    assert stage.serve().epoch == "8"


def test_a_first_generation_that_cannot_be_executed_ends_it(stage: Stage) -> None:
    stage.start(command=("/nonexistent/trioproxy",))
    assert stage.wait_gone() == 1
    assert "cannot start /nonexistent/trioproxy: No such file or directory" in stage.log[0]


def test_a_first_generation_that_fails_ends_it(stage: Stage) -> None:
    stage.start()
    stage.next().exit(3)
    assert stage.wait_gone() == 1
    assert "exited with 3 before it was ready" in stage.log[1]


def test_a_first_generation_that_is_never_ready_ends_it(stage: Stage) -> None:
    stage.start("--ready-time-s", "0.5")
    first = stage.next()
    first.say("STATUS=waiting for cluster app")
    assert stage.wait_gone() == 1
    assert 'is still starting (it said "waiting for cluster app"): killed' in stage.log[1]
    first.wait_gone()


def test_sockets_from_systemd_reach_the_first_generation(stage: Stage) -> None:
    as_systemd = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update("
    as_systemd += (
        "LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])"
    )
    with socket.create_server(("127.0.0.1", 0)) as passed:
        os.set_inheritable(passed.fileno(), True)
        fd = passed.fileno()
        stage.start(wrapper=(sys.executable, "-c", AS_SYSTEMD, str(fd)), pass_fds=(fd,))
        first = stage.serve()
        assert os.readlink(f"/proc/{first.pid}/fd/3") == os.readlink(f"/proc/self/fd/{fd}")
    assert first.environment["LISTEN_PID"] == str(first.pid)
    stage.hang_up()
    second = stage.serve()  # it gets them from its parent
    assert second.environment["LISTEN_PID"] != str(second.pid)


# Failed restarts


def test_an_invalid_configuration_starts_nothing(stage: Stage) -> None:
    """A28, A41: the old generation stays, and the next restart works."""
    stage.start()
    first = stage.serve()
    stage.hang_up()
    stage.next().exit(1)
    stage.wait_for("the configuration is not valid, nothing is started")
    stage.hang_up()
    assert stage.next().validates
    assert first.has_nothing_to_report()


@pytest.mark.parametrize("end", ["exits", "exits well", "is killed"])
def test_a_new_generation_that_fails_is_forgotten(stage: Stage, end: str) -> None:
    """A28, A41: the old generation stays, and the next restart has the same epoch."""
    stage.start()
    first = stage.serve()
    stage.hang_up()
    stage.next().exit(0)
    second = stage.next()
    {"exits": lambda: second.exit(1), "exits well": second.exit, "is killed": second.kill}[end]()
    line = stage.wait_for("before it was ready")
    words = {"exits": "exited with 1", "exits well": "exited with 0", "is killed": "by signal 9"}
    assert words[end] in line
    assert first.has_nothing_to_report()
    stage.hang_up()
    assert stage.serve().epoch == "1"


def test_a_new_generation_that_is_never_ready_is_killed_and_forgotten(stage: Stage) -> None:
    """A41: bounded time; the old generation stays."""
    stage.start("--ready-time-s", "0.5")
    first = stage.serve()
    stage.hang_up()
    stage.next().exit(0)
    second = stage.next()
    stage.wait_for("is still starting: killed")
    second.wait_gone()
    assert first.has_nothing_to_report()


def test_a_validation_that_never_ends_is_killed(stage: Stage) -> None:
    stage.start("--ready-time-s", "0.5")
    stage.serve()
    stage.hang_up()
    look = stage.next()
    stage.wait_for("is still validating: killed")
    look.wait_gone()
    stage.wait_for("is not valid, nothing")


def test_failures_in_a_row_are_backed_off(stage: Stage) -> None:
    stage.start()
    stage.serve()
    for _ in range(2):
        stage.hang_up()
        stage.next().exit(1)
        stage.wait_for("is not valid, nothing")
    stage.signal(signal.SIGHUP)
    assert re.search(r"waits [01]\.\d s after 2 failures in a row", stage.wait_for("SIGHUP"))
    stage.serve()
    stage.hang_up()
    assert "next epoch" in stage.log[-1]  # it works, so all is forgiven


def test_back_off_doubles_up_to_a_bound(restarter: ModuleType) -> None:
    waits = [restarter.back_off(failures) for failures in (1, 2, 3, 4, 8, 10_000)]
    assert waits == [0, 1, 2, 4, 30, 30]


# One at a time


def test_twenty_sighups_make_one_start_and_one_that_waits(stage: Stage) -> None:
    stage.start()
    first = stage.serve()
    stage.hang_up()
    look = stage.next()
    for _ in range(20):
        stage.signal(signal.SIGHUP)
    stage.wait_for("follows when this start has ended")
    look.exit(0)
    second = stage.next()
    second.say("READY=1")
    third = stage.serve()
    assert (second.epoch, third.epoch) == ("1", "2")
    first.exit(0)
    second.exit(0)
    third.exit(0)
    assert stage.wait_gone() == 0
    assert stage.nobody_waits()
    assert sum("SIGHUP" in line for line in stage.log) == 2


def test_a_sighup_while_the_first_starts_waits_for_it(stage: Stage) -> None:
    stage.start()
    first = stage.next()
    stage.signal(signal.SIGHUP)
    stage.wait_for("follows when this start has ended")
    first.say("READY=1")
    assert stage.serve().epoch == "1"


# As a command


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "the following arguments are required: command"),
        (["--ready-time-s", "-1", "x"], "argument --ready-time-s: invalid seconds value: '-1'"),
        (["--stop-time-s", "nan", "x"], "argument --stop-time-s: invalid seconds value: 'nan'"),
        (["--restart-epoch", "one", "x"], "argument --restart-epoch: invalid epoch value: 'one'"),
        (["trioproxy", "-c", "file"], "unrecognized arguments: -c"),
    ],
)
def test_a_command_line_that_cannot_be_followed(arguments: list[str], reason: str) -> None:
    command = [sys.executable, str(RESTARTER), *arguments]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 2
    assert reason in result.stderr


def test_it_needs_nothing_but_the_standard_library() -> None:
    """It can be copied alone: neither the environment's packages nor its directory are needed."""
    command = [sys.executable, "-I", "-S", str(RESTARTER), "--help"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_what_it_logs_reads_like_the_proxys_log(stage: Stage) -> None:
    stage.start(command=(*PUPPET, "-c", "file"))
    stage.serve()
    assert all(
        re.fullmatch(r"\[\d{4}-\d\d-\d\d [\d:]{8}\.\d{3}\]\[\d+\]\[info\]\[restarter\] \w.+", line)
        for line in stage.log
    )


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_shipped_service_files_start_it_rightly(restarter: ModuleType, path: Path) -> None:
    (line,) = re.findall(r"trioproxy-hot-restarter (--.*?\.yaml)", path.read_text())
    settings = restarter.parse(line.split())
    assert settings.restart_epoch == "auto"
    program, *arguments = settings.command
    assert Path(program).name == "trioproxy"
    assert parse(arguments).config_path == Path("/etc/trioproxy/proxy.yaml")


def test_there_is_a_file_for_each_service_manager() -> None:
    assert [path.name for path in SHIPPED] == ["trioproxy.conf", "run", "trioproxy.service"]


def test_its_options_are_documented(restarter: ModuleType) -> None:
    page = (RESTARTER.parents[1] / "docs" / "hot-restart.md").read_text()
    table = page.rpartition("| option | default | |")[2]  # the first one is the proxy's
    documented = re.findall(r"^\| `(--[a-z-]+)` \| `([^`]+)` \|", table, re.MULTILINE)
    assert len(documented) == 4
    for name, default in documented:
        assert restarter.parse([name, default, "x"]) == restarter.parse(["x"])
