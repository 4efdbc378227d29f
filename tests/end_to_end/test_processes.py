"""Main, zygote and workers as processes: who dies, who stays, and what clients notice."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Instance, StartEcho


def open_sockets(pid: int) -> set[str]:
    links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return {link for link in links if link.startswith("socket:")}


def test_every_worker_accepts(echo: Instance) -> None:
    answers = {echo.ask("who") for _ in range(64)}
    assert answers == {f"{worker} {pid}\n" for worker, pid in echo.workers.items()}


def test_no_process_holds_anothers_channel_end(echo: Instance) -> None:
    main, zygote = open_sockets(echo.pid), open_sockets(echo.zygote)
    first, second = (open_sockets(pid) for pid in echo.workers.values())
    assert len(zygote) == 1
    assert not zygote & main
    assert not first & second
    assert len(first & main) == len(second & main) == 1  # its listen socket


def test_processes_are_named_and_the_zygote_has_one_thread(echo: Instance) -> None:
    pids = [echo.pid, echo.zygote, echo.workers[0], echo.workers[1]]
    names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids]
    assert names == ["trioproxy:main", "trioproxy:zygot", "trioproxy:w0", "trioproxy:w1"]
    assert len(os.listdir(f"/proc/{echo.zygote}/task")) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_finishes_before_a_clean_exit(
    echo: Instance, number: signal.Signals
) -> None:
    """A70: SIGTERM and SIGINT, as soon as the last connection is gone."""
    with echo.connect() as client:
        client.sendall(b"sleep 0.5")
        echo.wait_for("sleeping")
        echo.signal(number)
        echo.wait_for("draining")
        assert client.recv(100) == b"sleep 0.5"
    assert echo.wait_gone() == 0
    assert "terminated" in echo.log[-1]


def test_nobody_is_let_in_while_leaving(echo: Instance) -> None:
    with echo.connect() as client:
        client.sendall(b"who")
        client.recv(100)
        echo.signal(signal.SIGTERM)
        echo.wait_for("listeners refuse connections")
        assert echo.admin()["phase"] == "draining"
        with pytest.raises(ConnectionRefusedError):
            echo.connect()
        client.sendall(b"still here")
        assert client.recv(100) == b"still here"
    assert echo.wait_gone() == 0


def test_what_takes_longer_than_the_shutdown_time_is_cut(start_echo: StartEcho) -> None:
    """A70: at the latest at the end of the shutdown time."""
    echo = start_echo(shutdown_time=0.2)
    echo.wait_serving()
    with echo.connect() as client:
        client.sendall(b"sleep 100")
        echo.wait_for("sleeping")
        echo.signal(signal.SIGTERM)
        assert echo.wait_gone() == 0
        assert client.recv(100) == b""


def test_a_second_signal_at_once_is_the_same_request(echo: Instance) -> None:
    """A70: a second signal within 1 s."""
    with echo.connect() as client:
        client.sendall(b"sleep 0.5")
        echo.wait_for("sleeping")
        echo.signal(signal.SIGTERM)
        echo.wait_for("draining")
        echo.signal(signal.SIGINT)
        assert client.recv(100) == b"sleep 0.5"
    assert echo.wait_gone() == 0


def test_a_later_signal_exits_at_once(echo: Instance) -> None:
    """A70: a later one exits at once."""
    with echo.connect() as client:
        client.sendall(b"sleep 100")
        echo.wait_for("sleeping")
        echo.signal(signal.SIGTERM)
        echo.wait_for("draining")
        time.sleep(1.1)
        echo.signal(signal.SIGTERM)
        assert echo.wait_gone() == 0
        assert client.recv(100) == b""


def test_a_signal_to_the_whole_group_is_mains_business(echo: Instance) -> None:
    for pid in [echo.zygote, *echo.workers.values()]:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            os.kill(pid, number)
    assert len({echo.ask("who") for _ in range(64)}) == 2


def test_sighup_and_sigpipe_kill_nobody(echo: Instance) -> None:
    """A71: SIGHUP."""
    for pid in [echo.pid, echo.zygote, *echo.workers.values()]:
        os.kill(pid, signal.SIGPIPE)
    echo.signal(signal.SIGHUP)
    echo.wait_for("SIGHUP")
    assert len({echo.ask("who") for _ in range(64)}) == 2


def test_logs_are_reopened_without_a_lost_or_torn_line(
    start_echo: StartEcho, tmp_path: Path
) -> None:
    """A71: SIGUSR1 after a rename."""
    log, moved = tmp_path / "log", tmp_path / "log.1"
    echo = start_echo(log_path=str(log), log_level="debug")
    wait_for_line(log, "serving")
    note_log(echo, log)
    for number in range(200):
        echo.ask(f"log {number}")
        if number == 100:
            log.rename(moved)
            echo.signal(signal.SIGUSR1)
            wait_for_line(moved, "SIGUSR1")
    lines = moved.read_text().splitlines() + log.read_text().splitlines()
    said = [line.rpartition(" ")[2] for line in lines if "said" in line]
    assert sorted(map(int, said)) == list(range(200))
    assert all(re.match(r"\[[^]]+\]\[\d+\]\[\w+\]\[\w+\] .", line) for line in lines)
    assert "reopen_logs" in str(echo.admin())
    os.kill(echo.workers[0], signal.SIGKILL)
    wait_for_line(log, "is ready")  # it inherited the new file: the zygote reopened it as well
    echo.signal(signal.SIGTERM)
    echo.wait_gone()
    assert "killed by SIGKILL" in log.read_text()
    assert "killed by SIGKILL" not in moved.read_text()


def wait_for_line(path: Path, text: str) -> None:
    """Wait for a line in a file; nobody tells, so this looks."""
    for _ in range(2000):
        if path.exists() and text in path.read_text():
            return
        time.sleep(0.01)
    raise AssertionError(f"no {text!r} in {path}")


def note_log(echo: Instance, path: Path) -> None:
    for line in path.read_text().splitlines():
        echo.note(line)


def test_a_killed_worker_is_replaced_and_its_queue_is_answered(echo: Instance) -> None:
    victim = echo.workers[0]
    os.kill(victim, signal.SIGSTOP)
    queued = [echo.connect() for _ in range(40)]  # about half of them wait for the stopped one
    for client in queued:
        client.sendall(b"who")
    os.kill(victim, signal.SIGKILL)
    echo.wait_for(f"worker 0 (pid {victim}) killed by SIGKILL")
    echo.wait_for("worker 0")
    assert echo.workers[0] != victim
    answers = [client.recv(100).decode() for client in queued]
    assert set(answers) == {f"{worker} {pid}\n" for worker, pid in echo.workers.items()}
    for client in queued:
        client.close()


def test_a_worker_that_fails_is_replaced_and_its_reason_logged(echo: Instance) -> None:
    with echo.connect() as client:
        client.sendall(b"raise")
        assert "RuntimeError: as told (echo_proxy.py:" in echo.wait_for("failed")
        assert client.recv(100) == b""
    echo.wait_for("exited with 1")
    echo.wait_for("is ready")
    assert len({echo.ask("who") for _ in range(64)}) == 2


def test_a_worker_that_dies_again_and_again_is_replaced_ever_later(start_echo: StartEcho) -> None:
    echo = start_echo(concurrency=1)
    echo.wait_serving()
    for _ in range(4):
        before = time.monotonic()
        os.kill(echo.workers[0], signal.SIGKILL)
        echo.wait_for("is ready")
    assert time.monotonic() - before > 0.8


def test_workers_leave_when_main_is_killed(echo: Instance) -> None:
    with echo.connect() as client:
        client.sendall(b"sleep 0.5")
        echo.wait_for("sleeping")
        echo.signal(signal.SIGKILL)
        echo.wait_for("main is gone")
        assert client.recv(100) == b"sleep 0.5"
    assert echo.wait_gone() == -signal.SIGKILL


def test_without_a_zygote_workers_serve_on_until_one_is_missed(echo: Instance) -> None:
    os.kill(echo.zygote, signal.SIGKILL)
    assert "killed by SIGKILL" in echo.wait_for("the zygote was lost")
    assert len({echo.ask("who") for _ in range(64)}) == 2
    with echo.connect() as client:
        client.sendall(b"who")
        worker = int(client.recv(100).split()[0])
        os.kill(echo.workers[1 - worker], signal.SIGKILL)
        echo.wait_for("cannot be replaced: the zygote is gone")
        client.sendall(b"finish this")
        assert client.recv(100) == b"finish this"
    assert echo.wait_gone() == 1


@pytest.mark.parametrize(
    ("broken", "reason"),
    [("raise 1", "RuntimeError: this plane is broken"), ("exit 0", "exited with 3")],
)
def test_a_worker_that_dies_before_it_is_ready_fails_the_start(
    start_echo: StartEcho, broken: str, reason: str
) -> None:
    echo = start_echo(broken=broken)
    assert echo.wait_gone() == 1
    assert "critical" in echo.log[-1]
    assert f"worker {broken[-1]} " in echo.log[-1]
    assert reason in "\n".join(echo.log)


def test_a_start_that_hangs_can_be_given_up_and_nobody_was_let_in(start_echo: StartEcho) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    echo = start_echo({"web": f"127.0.0.1:{port}"}, broken="hang")
    echo.wait_for("admin listens")
    assert echo.admin()["phase"] == "initialising"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    echo.signal(signal.SIGTERM)
    assert echo.wait_gone() == 0


def test_a_taken_port_is_named(start_echo: StartEcho, echo: Instance) -> None:
    address = f"127.0.0.1:{echo.ports['web']}"
    second = start_echo({"db": address})
    assert second.wait_gone() == 1
    assert f"db: cannot bind {address}: Address already in use" in second.log[-1]


@pytest.mark.parametrize("kind", ["abstract", "path"])
def test_a_base_id_belongs_to_one_instance(
    start_echo: StartEcho, tmp_path: Path, kind: str
) -> None:
    """A10: the second exits 1 naming --base-id."""
    name = f"@test-{os.getpid()}" if kind == "abstract" else str(tmp_path / "control")
    first = start_echo(base_id=7, socket_path=name)
    first.wait_serving()
    second = start_echo(base_id=7, socket_path=name)
    assert second.wait_gone() == 1
    assert "--base-id 7" in second.log[-1]
    assert len({first.ask("who") for _ in range(64)}) == 2
    third = start_echo(base_id=8, socket_path=name)
    third.wait_serving()


def test_dynamic_base_ids_never_meet(start_echo: StartEcho, tmp_path: Path) -> None:
    """A08, its first half: two instances coexist, and the file tells which is which."""
    files = [tmp_path / "one", tmp_path / "two"]
    for file in files:
        echo = start_echo(base_id=0, use_dynamic_base_id=True, base_id_path=str(file))
        echo.wait_serving()
    assert len({int(file.read_text()) for file in files}) == 2


def test_where_it_is_found_is_written_to_files(start_echo: StartEcho, tmp_path: Path) -> None:
    """A09: the admin address, with the port that was free."""
    admin, base = tmp_path / "admin", tmp_path / "base"
    echo = start_echo(admin_address_path=str(admin), base_id_path=str(base), base_id=4711)
    echo.wait_serving()
    assert admin.read_text() == f"127.0.0.1:{echo.ports['admin']}"
    assert base.read_text() == "4711"


def test_a_file_that_cannot_be_written_fails_the_start(
    start_echo: StartEcho, tmp_path: Path
) -> None:
    path = tmp_path / "nowhere" / "base"
    echo = start_echo(base_id_path=str(path))
    assert echo.wait_gone() == 1
    assert f"cannot write {path}: No such file or directory" in echo.log[-1]


def test_a_broken_admin_costs_admin_alone(start_echo: StartEcho) -> None:
    echo = start_echo(broken="admin")
    echo.wait_serving()
    assert any("admin interface failed" in line and "this admin" in line for line in echo.log)
    assert echo.ask("hello") == "hello"


def test_a_unix_listener_from_a_stale_path_to_a_clean_exit(
    start_echo: StartEcho, tmp_path: Path
) -> None:
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    echo = start_echo({"web": f"unix:{path}"})
    echo.wait_serving()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
    echo.signal(signal.SIGTERM)
    assert echo.wait_gone() == 0
    assert not path.exists()


def test_sockets_of_systemd_are_served(start_echo: StartEcho) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        address = f"127.0.0.1:{passed.getsockname()[1]}"
        echo = start_echo({"web": address, "own": "127.0.0.1:0"}, passed=passed)
        echo.wait_serving()
    answers = {echo.ask("who") for _ in range(200)}
    assert answers == {f"{worker} {pid}\n" for worker, pid in echo.workers.items()}
    assert echo.ask("hello", "own") == "hello"


@pytest.mark.slow
def test_the_stack_of_a_silent_worker_is_logged(echo: Instance) -> None:
    with echo.connect() as client:
        client.sendall(b"block 13")
        echo.wait_for("has been silent for 10 s")
        echo.wait_for("in answer")
        assert client.recv(100) == b"block 13"
    assert len({echo.ask("who") for _ in range(64)}) == 2


@pytest.mark.slow
def test_a_worker_that_does_not_leave_is_killed(start_echo: StartEcho) -> None:
    echo = start_echo(shutdown_time=0.1)
    echo.wait_serving()
    os.kill(echo.workers[1], signal.SIGSTOP)
    echo.signal(signal.SIGTERM)
    assert echo.wait_gone() == 0
    assert any(f"worker 1 (pid {echo.workers[1]}) killed by SIGKILL" in line for line in echo.log)
