"""Starts one generation after the other, tells which one serves and when the last one is gone."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import trio

from benchmarks.process import Program
from soak.peer import Trouble, connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from soak.systems import Ports, System, Times

START_TIMEOUT = 30.0
END_MARGIN = 3.0  # seconds past the shutdown time that a generation is given to be gone
LOOK_EVERY = 0.005
BEACON = b"GET / HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n"


class SoakError(Exception):
    """The run cannot go on, or not be judged."""


class Generations:
    """The generations of one instance, each started straight from here."""

    def __init__(
        self,
        system: System,
        directory: Path,
        ports: Ports,
        times: Times,
        workers: Sequence[int],
        core: int | None,
    ) -> None:
        """Start nothing yet; generation n runs workers[n mod len(workers)], on `core` or anywhere."""
        self._system = system
        self._directory = directory
        self._ports = ports
        self._times = times
        self._workers = workers
        self._core = core
        self._base_id = os.getpid()
        self._programs: list[Program] = []

    def start(self) -> int:
        """Start the next generation; returns its epoch."""
        epoch = len(self._programs)
        config = self._directory / "proxy.yaml"
        self._system.configure(config, self._ports, epoch)
        workers = self._workers[epoch % len(self._workers)]
        command = self._system.command(config, self._base_id, epoch, workers, self._times)
        if self._core is not None:
            command = ["taskset", "--cpu-list", str(self._core), *command]
        log = self._directory / f"generation-{epoch}.log"
        with log.open("wb") as output:
            # From the main thread: Envoy asks to be ended with the thread that started it.
            popen = subprocess.Popen(
                command,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._programs.append(Program(popen, log))
        return epoch

    async def wait_serving(self) -> None:
        """Wait until the newest generation answers; raises SoakError."""
        program, epoch = self._programs[-1], len(self._programs) - 1
        with trio.move_on_after(START_TIMEOUT):
            while await self.answering() != str(epoch):
                if program.popen.poll() is not None:
                    status = program.popen.returncode
                    raise SoakError(
                        f"generation {epoch} ended with {status} before it served:\n"
                        f"{program.tail()}"
                    )
                await trio.sleep(LOOK_EVERY)
            return
        raise SoakError(
            f"generation {epoch} did not serve within {START_TIMEOUT:g} s:\n{program.tail()}"
        )

    async def answering(self) -> str:
        """The generation that answers a new connection now; nothing where none does."""
        with contextlib.suppress(Trouble):
            with await connect(self._ports.beacon) as peer:
                _, body = await peer.ask(BEACON)
                return body.decode()
        return ""

    async def wait_gone(self) -> None:
        """Wait until the last generation but one is gone; raises SoakError."""
        program, epoch = self._programs[-2], len(self._programs) - 2
        with trio.move_on_after(self._times.shutdown + END_MARGIN) as patience:
            await ended(program.popen.pid)
        if patience.cancelled_caught:
            raise SoakError(f"generation {epoch} did not end in time:\n{program.tail()}")
        if status := program.popen.wait():
            raise SoakError(f"generation {epoch} ended with {status}:\n{program.tail()}")

    def end(self) -> None:
        """End whatever still runs."""
        for program in reversed(self._programs):
            if program.popen.poll() is None:
                program.end()
        self._system.clean_up(self._base_id)


async def ended(pid: int) -> None:
    """Wait for the end of a process; it may be another's child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await trio.lowlevel.wait_readable(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def ending(generations: Generations) -> Iterator[Generations]:
    """Leave no generation behind."""
    try:
        yield generations
    finally:
        generations.end()
