"""The zygote as a process of its own, started by a small program: forks need a single thread."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PRELUDE = """
import logging, os, signal, socket, sys, threading, time
from trioproxy.restart.channel import BlockingChannel, Channel, PeerGone, channel_pair
from trioproxy.restart.packets import close_all
from trioproxy.server.log import open_log
from trioproxy.server.messages import FROM_ZYGOTE, Exited, Fork, Forked
from trioproxy.server.zygote import fork_zygote

def work(end):
    word = end.recv(100)
    if word == b"who":
        end.send(str(os.getpid()).encode())
    if word == b"raise":
        raise RuntimeError("as told")
    if word == b"fds":
        files = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        end.send(str(sum("socket:" in file for file in files)).encode())
    print("printed", word.decode())
    return len(word)

def start(**kwargs):
    seed = fork_zygote(work, process_log, **kwargs)
    return seed, BlockingChannel(seed.end, FROM_ZYGOTE)

def fork(channel, worker=0):
    ours, theirs = channel_pair()
    channel.send(Fork(worker), [theirs.fileno()])
    theirs.close()
    received = channel.receive()
    close_all(received.fds)
    return ours, received.message.pid

with open_log() as process_log:
"""


def run(program: str) -> tuple[str, str]:
    """Run a program after the prelude; returns what it printed and logged."""
    source = PRELUDE + textwrap.indent(textwrap.dedent(program), "    ")
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_it_forks_reaps_and_reports() -> None:
    out, _ = run("""
        seed, channel = start()
        first, first_pid = fork(channel)
        second, second_pid = fork(channel)
        first.send(b"who")
        assert first.recv(100) == str(first_pid).encode()
        assert channel.receive().message == Exited(first_pid, 3)
        os.kill(second_pid, signal.SIGKILL)
        assert channel.receive().message == Exited(second_pid, -9)
    """)
    assert out == "printed who\n"


def test_a_worker_that_raises_exits_with_1_and_a_line_in_the_log() -> None:
    _, log = run("""
        seed, channel = start()
        end, pid = fork(channel)
        end.send(b"raise")
        assert channel.receive().message == Exited(pid, 1)
    """)
    assert "died of: RuntimeError: as told (" in log


def test_a_worker_has_no_socket_but_its_own_end() -> None:
    run("""
        stranger = socket.create_server(("127.0.0.1", 0))
        seed, channel = start(strangers=[stranger])
        ends = [fork(channel)[0] for _ in range(3)]
        ends[-1].send(b"fds")
        assert ends[-1].recv(100) == b"1", "it holds what is another's"
        for end in ends[:-1]:
            end.close()
            channel.receive()
    """)


def test_it_leaves_when_main_does_and_workers_do_not() -> None:
    run("""
        seed, channel = start()
        end, pid = fork(channel)
        channel.close()
        assert os.waitpid(seed.pid, 0)[1] == 0
        end.send(b"who")
        assert end.recv(100) == str(pid).encode()
        assert end.recv(100) == b""
    """)


def test_signals_to_the_group_are_mains_business() -> None:
    run("""
        group = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1]
        signal.pthread_sigmask(signal.SIG_BLOCK, group)
        seed, channel = start()
        for number in group:
            os.kill(seed.pid, number)
        end, pid = fork(channel)
        os.kill(pid, signal.SIGTERM)
        end.send(b"who")
        assert end.recv(100) == str(pid).encode()
    """)


def test_what_was_printed_before_is_printed_once() -> None:
    out, _ = run("""
        print("once")
        seed, channel = start()
        end, _ = fork(channel)
        end.send(b"")
        channel.receive()
    """)
    assert out == "once\nprinted \n"


def test_a_thread_that_workers_will_miss_is_warned_of() -> None:
    _, log = run("""
        import warnings
        warnings.simplefilter("ignore")
        over = threading.Event()
        threading.Thread(target=over.wait).start()
        seed, channel = start()
        over.set()
    """)
    assert "started a thread" in log


def test_a_lone_thread_is_not_warned_of() -> None:
    _, log = run("start()")
    assert "thread" not in log
