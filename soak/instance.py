"""One proxy instance: starts it, commands restarts, tells who serves and when the old is gone."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
from typing import TYPE_CHECKING, Protocol

import trio

from benchmarks.process import Program, children_of, handle_of, open_handles
from soak.peer import Trouble
from soak.secure import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from soak.systems import Scene, System

START_TIMEOUT = 30.0
END_MARGIN = 5.0  # seconds past the shutdown time that an old generation is given to be gone
LOOK_EVERY = 0.005
SIGNALS_APART = 0.005  # seconds; the kernel makes one of those that wait for the same process
WHO = b"GET /generation HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n"
READY = re.compile(r"serves, ready after ([\d.]+) s")
ERROR = re.compile(r"^\[[^\]]*\]\[\d+\]\[(?:error|critical)\].*", re.MULTILINE)


class SoakError(Exception):
    """The run cannot go on, or not be judged."""


class Restartable(Protocol):
    """What is under load: a proxy, or nothing but the origin."""

    def restarting(self, workers: int) -> AbstractAsyncContextManager[None]:
        """Command the next generation; inside one waits for it, and for the last one's end."""

    async def serving(self) -> None:
        """Wait until the newest generation serves; raises SoakError."""

    async def alone(self) -> None:
        """Wait until no older one is left; raises SoakError."""

    def ready_seconds(self) -> float | None:
        """Return how long the newest generation took to be ready, if it is known."""

    def errors(self) -> Sequence[str]:
        """Return what was logged as an error."""


class Instance:
    """A restarter, or a proxy's own master, and its generations."""

    def __init__(
        self, system: System, scene: Scene, *, signals: int = 1, core: int | None = None
    ) -> None:
        """Start nothing yet; a restart is commanded by so many signals in quick succession."""
        self._system = system
        self._scene = scene
        self._signals = signals
        self._pin = () if core is None else ("taskset", "--cpu-list", str(core))
        self._log = scene.directory / "log"
        self._generation = 0
        self._old: list[int] = []  # pidfds

    @contextlib.contextmanager
    def running(self, workers: int) -> Iterator[None]:
        """Start generation 0; leave nobody behind."""
        self._system.prepare(self._scene, 0, workers)
        with self._log.open("wb") as output:
            popen = subprocess.Popen(
                (*self._pin, *self._system.main_command(self._scene)),
                cwd=self._scene.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._program = Program(popen, self._log)
        try:
            yield
        finally:
            self._program.end()
            self._system.clean_up(self._scene)

    @contextlib.asynccontextmanager
    async def restarting(self, workers: int) -> AsyncIterator[None]:
        """Signal for the next generation; all processes that there are now are to go."""
        self._generation += 1
        self._system.prepare(self._scene, self._generation, workers)
        with contextlib.ExitStack() as stack:
            self._old = open_handles(self._program.tree()[1:], stack)
            self._program.popen.send_signal(self._system.signal)
            for _ in range(self._signals - 1):
                await trio.sleep(SIGNALS_APART)
                self._program.popen.send_signal(self._system.signal)
            yield

    async def serving(self) -> None:
        """Wait until a new connection is answered by the newest generation; raises SoakError."""
        with trio.move_on_after(START_TIMEOUT):
            while await self._answering() != str(self._generation):
                if self._program.popen.poll() is not None:
                    raise SoakError(f"the proxy ended:\n{self._program.tail()}")
                await trio.sleep(LOOK_EVERY)
            if not self._system.tells_ready:
                self._tell_ready()
            return
        raise SoakError(
            f"generation {self._generation} did not serve within {START_TIMEOUT:g} s:\n"
            f"{self._program.tail()}"
        )

    async def alone(self) -> None:
        """Wait until those before the restart have ended, and one generation is left.

        Raises SoakError where that takes END_MARGIN longer than it may: more signals than one may
        have started another generation, whose parent takes its time, too.
        """
        patience = self._scene.times.shutdown * min(2, self._signals) + END_MARGIN
        with trio.move_on_after(patience):
            for handle in self._old:
                await trio.lowlevel.wait_readable(handle)
            while self._system.restarter and (older := self._generations()[:-1]):
                with contextlib.suppress(ProcessLookupError), handle_of(older[0]) as handle:
                    await trio.lowlevel.wait_readable(handle)
            return
        raise SoakError(
            f"the old generation did not end in {patience:g} s:\n{self._program.tail()}"
        )

    def ready_seconds(self) -> float | None:
        """Return what the restarter last said."""
        told = READY.findall(self._program.log.read_text(errors="replace"))
        return float(told[-1]) if told and self._system.tells_ready else None

    def errors(self) -> Sequence[str]:
        """Return the log's lines from level error on."""
        return ERROR.findall(self._program.log.read_text(errors="replace"))

    def _generations(self) -> list[int]:
        """Return the pids of all generations under the restarter, the oldest first."""
        return children_of(self._program.popen.pid)

    async def _answering(self) -> str:
        """Return which generation answers a new connection now; nothing where none does."""
        with contextlib.suppress(Trouble), await connect(self._scene.ports.http) as peer:
            _, body = await peer.ask(WHO)
            return body.decode()
        return ""

    def _tell_ready(self) -> None:
        """Tell the restarter what the proxy does not say itself."""
        address = (self._scene.directory / "mailbox").read_text()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"READY=1", f"\0{address[1:]}")


class Untouched:
    """Stands in for a proxy where clients go straight to the origin: what the load itself costs."""

    def __init__(self, seconds: float) -> None:
        """A 'restart', which changes nothing, takes so long."""
        self._seconds = seconds

    def restarting(self, workers: int) -> AbstractAsyncContextManager[None]:
        """Do nothing."""
        del workers
        return contextlib.nullcontext()

    async def serving(self) -> None:
        """Be there at once."""

    async def alone(self) -> None:
        """Let the time of a restart go by."""
        await trio.sleep(self._seconds)

    def ready_seconds(self) -> None:
        """Nothing starts."""

    def errors(self) -> Sequence[str]:
        """Nothing is logged."""
        return ()
