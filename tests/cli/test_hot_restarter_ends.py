"""The restarter, with generations that are puppets: who serves, who leaves, who is told what."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

    from cli.puppets import Stage

AS_USER = """
import os, socket, sys
os.setuid(int(sys.argv[1]))
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", "\\0" + sys.argv[2])
"""


# Who serves, and who leaves


def test_the_parent_leaves_when_its_child_serves(stage: Stage) -> None:
    stage.start()
    first = stage.serve()
    stage.hang_up()
    stage.serve()
    first.exit(0)
    assert "exited with 0" in stage.wait_for(str(first.pid))
    stage.hang_up()
    assert stage.serve().epoch == "2"


def test_a_parent_may_be_gone_before_its_child_is_ready(stage: Stage) -> None:
    """A35: with nothing in flight it has no reason to stay."""
    stage.start()
    first = stage.serve()
    stage.hang_up()
    stage.next().exit(0)
    second = stage.next()
    first.say("STOPPING=1|X_TRIOPROXY_GONE_IN=600")
    first.exit(0)
    second.say("READY=1")
    stage.wait_for("epoch 1")
    stage.signal(signal.SIGTERM)
    assert second.next() == "SIGTERM"
    second.exit(0)
    assert stage.wait_gone() == 0


def test_who_is_not_gone_when_it_said_is_killed(stage: Stage) -> None:
    stage.start("--kill-after-s", "0.2")
    first = stage.serve()
    stage.hang_up()
    first.say("STOPPING=1|X_TRIOPROXY_GONE_IN=0.3")
    stage.wait_for("will be gone in 0.3 s")
    stage.serve()
    stage.wait_for("is still leaving: killed")
    first.wait_gone()
    assert "was killed by signal 9" in stage.wait_for(str(first.pid))


@pytest.mark.parametrize("nonsense", ["soon", "-1", "nan", "inf", "1e300", ""])
def test_an_announcement_that_makes_no_sense_is_ignored(stage: Stage, nonsense: str) -> None:
    stage.start("--kill-after-s", "0")
    first = stage.serve()
    first.say(f"STOPPING=1|X_TRIOPROXY_GONE_IN={nonsense}")
    stage.hang_up()
    stage.serve()
    assert not any("will be gone" in line for line in stage.log)
    assert first.has_nothing_to_report()


def test_the_death_of_the_serving_generation_ends_it(stage: Stage) -> None:
    stage.start()
    stage.serve().kill()
    assert stage.wait_gone() == 1
    assert "was killed by signal 9" in "".join(stage.log)


def test_a_serving_generation_that_leaves_by_itself_ends_it_well(stage: Stage) -> None:
    stage.start()
    stage.serve().exit(0)
    assert stage.wait_gone() == 0


def test_a_restart_that_failed_earlier_is_forgotten_then(stage: Stage) -> None:
    stage.start()
    first = stage.serve()
    stage.hang_up()
    stage.next().exit(1)
    stage.wait_for("is not valid, nothing")
    first.exit(0)
    assert stage.wait_gone() == 0


def test_a_validation_does_not_keep_it_alive(stage: Stage) -> None:
    stage.start()
    first = stage.serve()
    stage.hang_up()
    look = stage.next()
    first.kill()
    assert stage.wait_gone() == 1
    look.wait_gone()


def test_a_child_outlives_its_parent(stage: Stage) -> None:
    """A29: whoever is starting when the serving generation dies may still serve."""
    stage.start()
    first = stage.serve()
    stage.hang_up()
    stage.next().exit(0)
    second = stage.next()
    first.kill()
    stage.wait_for("was killed by signal 9")
    second.say("READY=1")
    stage.wait_for("serves, ready")
    stage.signal(signal.SIGTERM)
    assert second.next() == "SIGTERM"
    second.exit(0)
    assert stage.wait_gone() == 0


@pytest.mark.parametrize("order", ["it says so", "it does not", "it says so first"])
def test_a_parent_resumes_when_its_child_dies(stage: Stage, order: str) -> None:
    """A28: kill -9 after the drain began; the parent is neither killed in time nor given up."""
    stage.start("--kill-after-s", "0")
    first = stage.serve()
    stage.hang_up()
    second = stage.serve()
    first.say("STOPPING=1|X_TRIOPROXY_GONE_IN=0.8")
    stage.wait_for("will be gone")
    if order == "it says so first":
        first.say("READY=1")
    second.kill()
    stage.wait_for(f"(pid {first.pid}) serves again")
    if order == "it says so":
        first.say("READY=1")
    stage.hang_up()
    assert stage.serve().epoch == "1"
    assert not any("still leaving" in line for line in stage.log)


def test_a_parent_that_cannot_resume_ends_it_badly(stage: Stage) -> None:
    stage.start()
    first = stage.serve()
    stage.hang_up()
    stage.serve().kill()
    stage.wait_for("serves again")
    first.exit(0)
    assert stage.wait_gone() == 1


def test_a_generation_that_crashes_while_it_drains_costs_nothing(stage: Stage) -> None:
    stage.start()
    first = stage.serve()
    stage.hang_up()
    second = stage.serve()
    first.kill()
    stage.wait_for("was killed by signal 9")
    second.exit(0)
    assert stage.wait_gone() == 0


# Other signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_are_asked_to_leave(stage: Stage, number: signal.Signals) -> None:
    stage.start()
    first = stage.serve()
    stage.hang_up()
    second = stage.serve()
    stage.signal(number)
    assert first.next() == second.next() == "SIGTERM"
    stage.signal(signal.SIGHUP)  # too late
    first.exit(0)
    second.exit(0)
    assert stage.wait_gone() == 0
    assert stage.nobody_waits()


def test_a_second_request_to_leave_is_passed_on(stage: Stage) -> None:
    stage.start()
    first = stage.serve()
    stage.signal(signal.SIGTERM)
    assert first.next() == "SIGTERM"
    stage.signal(signal.SIGTERM)
    assert first.next() == "SIGTERM"


def test_who_does_not_leave_is_killed(stage: Stage) -> None:
    stage.start("--stop-time-s", "0.5")
    first = stage.serve()
    stage.signal(signal.SIGTERM)
    assert first.next() == "SIGTERM"
    assert stage.wait_gone() == 1
    assert "is still leaving: killed" in "".join(stage.log)


def test_leaving_takes_as_long_as_was_announced(stage: Stage) -> None:
    stage.start("--stop-time-s", "2", "--kill-after-s", "600")
    first = stage.serve()
    stage.signal(signal.SIGTERM)
    assert first.next() == "SIGTERM"
    first.say("STOPPING=1|X_TRIOPROXY_GONE_IN=300")
    stage.wait_for("will be gone in 300 s")
    told = [stage.told_manager() for _ in range(3)]
    assert told[2]["EXTEND_TIMEOUT_USEC"] == "900000000"


def test_a_start_is_given_up_when_all_leave(stage: Stage) -> None:
    stage.start()
    first = stage.serve()
    stage.hang_up()
    stage.next().exit(0)
    second = stage.next()
    stage.signal(signal.SIGTERM)
    assert first.next() == second.next() == "SIGTERM"
    second.say("READY=1")
    second.kill()
    first.exit(0)
    assert stage.wait_gone() == 0


def test_sigusr1_reaches_all_and_a_starting_one_when_it_is_ready(stage: Stage) -> None:
    """A71: at once it would kill a process that is still importing."""
    stage.start()
    first = stage.serve()
    stage.hang_up()
    stage.next().exit(0)
    second = stage.next()
    stage.signal(signal.SIGUSR1)
    assert first.next() == "SIGUSR1"
    assert second.has_nothing_to_report()
    second.say("READY=1")
    assert second.next() == "SIGUSR1"
    stage.signal(signal.SIGUSR1)
    assert first.next() == second.next() == "SIGUSR1"


def test_generations_outlive_a_killed_restarter(stage: Stage) -> None:
    stage.start()
    first = stage.serve()
    assert stage.process
    stage.process.kill()
    stage.process.wait()
    assert first.has_nothing_to_report()


# The service manager


def test_the_manager_is_told_how_it_goes(stage: Stage) -> None:
    stage.start()
    first = stage.serve()
    told = stage.told_manager()
    assert stage.process
    assert told == {
        "READY": "1",
        "MAINPID": str(stage.process.pid),
        "STATUS": f"epoch 0 (pid {first.pid}) serves",
    }
    stage.hang_up()
    told = stage.told_manager()
    assert told["RELOADING"] == "1"
    assert int(told["MONOTONIC_USEC"]) > 0
    stage.next().exit(1)
    told = stage.told_manager()
    assert told["READY"] == "1"
    assert told["STATUS"].startswith(f"epoch 0 (pid {first.pid}) serves; epoch 1 (pid ")
    assert told["STATUS"].endswith("the configuration is not valid, nothing is started")
    stage.signal(signal.SIGTERM)
    assert stage.told_manager()["STOPPING"] == "1"
    first.exit(0)


def test_the_manager_hears_ready_when_nothing_waits_any_more(stage: Stage) -> None:
    stage.start()
    stage.serve()
    assert "READY" in stage.told_manager()
    stage.hang_up()
    assert "RELOADING" in stage.told_manager()
    stage.next().exit(0)
    second = stage.next()
    stage.hang_up()
    assert "RELOADING" in stage.told_manager()
    second.say("READY=1")
    assert "READY" not in stage.told_manager()
    stage.serve()
    assert "READY" in stage.told_manager()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(("uid", "heard"), [(0, [{"READY": "1"}]), (65534, [])])
def test_strangers_are_not_listened_to(
    restarter: ModuleType, uid: int, heard: list[dict[str, str]]
) -> None:
    with restarter.open_mailbox() as mailbox:
        name = mailbox.getsockname()[1:].decode()
        subprocess.run([sys.executable, "-c", AS_USER, str(uid), name], check=True)
        assert list(restarter.messages(mailbox)) == heard
