"""Memory is that of this process and its descendants."""

from __future__ import annotations

import os
import subprocess
import sys

from trioproxy.admin.memory import Memory, family, measure, memory_of, sizes


def test_a_child_counts() -> None:
    alone = set(family(os.getpid()))
    program = "import sys; kept = b'x' * 50_000_000; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in set(family(os.getpid())) - alone
        assert memory_of(child.pid).allocated > 50_000_000
        assert measure().physical > memory_of(child.pid).physical
        child.kill()


def test_memories_add_up() -> None:
    assert Memory(1, 2, 3) + Memory(10, 20, 30) == Memory(11, 22, 33)


def test_what_the_kernel_writes_is_read() -> None:
    text = "Name:\ttrio\nVmData:\t  12 kB\nPss_Anon:   3 kB\nThreads:\t1\n"
    assert sizes(text) == {"VmData": 12 * 1024, "Pss_Anon": 3 * 1024}


def test_a_process_that_has_ended_counts_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    try:
        assert measure().physical > 0
    finally:
        child.communicate()
