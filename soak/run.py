"""One run: an origin, a proxy, its clients, and restarts one after the other."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import attrs
import trio

from benchmarks.origin import free_ports
from soak.clients import NewConnections, busy, seldom
from soak.half_closed import HalfClosed
from soak.http2 import clients as http2_clients
from soak.instance import Instance, SoakError, Untouched
from soak.ledger import SESSIONS, Kind, Ledger, Phase, Restart
from soak.secure import TlsPort
from soak.sessions import Session, standing
from soak.systems import Ports, Scene, Times
from soak.transfers import Transfers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from soak.instance import Restartable
    from soak.systems import System

LEAD = 0.5  # seconds that transfers have run when the restart is commanded


@attrs.frozen
class Plan:
    """How often, under which load; times in seconds, rates a second."""

    restarts: int = 20
    signals: int = 1
    workers: tuple[int, ...] = (2, 2, 1)
    times: Times = attrs.field(factory=Times)
    rate: float = 400
    busy: int = 48
    busy_rate: float = 10
    sleepy: int = 16
    sleepy_gap: float = 1
    idle: int = 16
    idle_gap: float = 4
    http2: int = 0
    http2_rate: float = 5
    transfer: float = 6
    tcp: int = 6
    half_closed: int = 6
    websockets: int = 6
    session_gap: float = 0.05
    calm: float = 1
    tls: bool = False
    core: int | None = None


async def soak(
    plan: Plan, system: System | None, directory: Path, say: Callable[[str], None]
) -> Ledger:
    """Carry out the plan; a restart that fails ends the run and stands in the ledger.

    Raises SoakError where the run does not even begin.
    """
    with (
        open_origin() as (http, echo),
        open_target(plan, system, directory, http, echo) as (target, ports),
    ):
        await target.serving()
        run = Run(plan, ports, target, Ledger(trio.current_time), say)
        async with trio.open_nursery() as clients:
            run.start_clients(clients)
            await run.restart_all()
            clients.cancel_scope.cancel()
        run.ledger.failures += target.errors()
        return run.ledger


@contextlib.contextmanager
def open_origin() -> Iterator[tuple[int, int]]:
    """Run the origin; yields its ports, and ends it by the end of its input."""
    process = subprocess.Popen(
        [sys.executable, "-m", "soak.origin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdin
        assert process.stdout
        http, echo = json.loads(process.stdout.readline())
        try:
            yield http, echo
        finally:
            process.stdin.close()


@contextlib.contextmanager
def open_target(
    plan: Plan, system: System | None, directory: Path, http: int, echo: int
) -> Iterator[tuple[Restartable, Ports]]:
    """Run the proxy before the origin's ports; without one clients go straight to the origin."""
    if system is None:
        yield Untouched(plan.times.shutdown), Ports(http, echo, http, echo)
        return
    at_http, at_echo = free_ports(2)
    ports = Ports(TlsPort(at_http) if plan.tls else at_http, at_echo, http, echo)
    scene = Scene(directory, ports, plan.times, os.getpid())
    instance = Instance(system, scene, signals=plan.signals, core=plan.core)
    with instance.running(plan.workers[0]):
        yield instance, ports


class Run:
    """The clients of one target, and its restarts."""

    def __init__(
        self,
        plan: Plan,
        ports: Ports,
        target: Restartable,
        ledger: Ledger,
        say: Callable[[str], None],
    ) -> None:
        self.ledger = ledger
        self._plan = plan
        self._ports = ports
        self._target = target
        self._say = say
        self._sessions = [
            Session(port, ledger, kind, plan.session_gap)
            for kind, count, port in (
                (Kind.TCP, plan.tcp, ports.echo),
                (Kind.WEBSOCKET, plan.websockets, ports.http),
            )
            for _ in range(count)
        ]
        self._sessions += [
            HalfClosed(
                ports.echo, ledger, Kind.HALF_CLOSED, plan.session_gap, talks=bool(number % 2)
            )
            for number in range(plan.half_closed)
        ]

    def start_clients(self, clients: trio.Nursery) -> None:
        """Start everyone who asks all the time."""
        plan, port, rng = self._plan, self._ports.http, random.Random(1)
        clients.start_soon(NewConnections(port, self.ledger, plan.rate).run)
        for client in busy(port, self.ledger, rng, plan.busy, plan.busy_rate):
            clients.start_soon(client.run)
        for kind, count, gap in (
            (Kind.SLEEPY, plan.sleepy, plan.sleepy_gap),
            (Kind.IDLE, plan.idle, plan.idle_gap),
        ):
            for client in seldom(port, self.ledger, rng, kind, count, gap):
                clients.start_soon(client.run)
        for http2 in http2_clients(port, self.ledger, rng, plan.http2, plan.http2_rate):
            clients.start_soon(http2.run)
        for number, session in enumerate(self._sessions):
            clients.start_soon(session.run, plan.session_gap * number / len(self._sessions))

    async def restart_all(self) -> None:
        """Restart as often as planned, each time with transfers under way; then let them end."""
        transfers = Transfers(self._ports.http, self.ledger, self._plan.transfer)
        workers = itertools.pairwise(itertools.cycle(self._plan.workers))
        await trio.sleep(self._plan.calm)
        async with trio.open_nursery() as under_way:
            try:
                for change in itertools.islice(workers, self._plan.restarts):
                    if self._plan.transfer:
                        under_way.start_soon(transfers.run)
                    await trio.sleep(LEAD)
                    self.ledger.restarts.append(await self._restart(change))
                    self._say(self._progress())
            except SoakError as failure:
                self.ledger.failures.append(str(failure))
                self._say(str(failure))
                under_way.cancel_scope.cancel()

    async def _restart(self, workers: tuple[int, int]) -> Restart:
        """Start the next generation and see the last one off; raises SoakError.

        Who survived is looked at after the calm: by then all have noticed that they did not.
        """
        ledger = self.ledger
        before, lost = {kind: standing(self._sessions, kind) for kind in SESSIONS}, ledger.lost
        ledger.phase, commanded = Phase.STARTING, ledger.now()
        async with self._target.restarting(workers[1]):
            await self._target.serving()
            ledger.phase, serving = Phase.DRAINING, ledger.now()
            await self._target.alone()
        ledger.phase, gone = Phase.CALM, ledger.now()
        await trio.sleep(self._plan.calm)
        survived = {
            kind: (len(stood & standing(self._sessions, kind)), len(stood))
            for kind, stood in before.items()
            if stood
        }
        ready = self._target.ready_seconds()
        return Restart(workers, commanded, serving, gone, ready, survived, ledger.lost - lost)

    def _progress(self) -> str:
        """Say how the last restart went."""
        restart = self.ledger.restarts[-1]
        return (
            f"restart {len(self.ledger.restarts)} of {self._plan.restarts}: "
            f"serving after {restart.serving - restart.commanded:.2f} s, "
            f"old generation gone after {restart.gone - restart.serving:.1f} s, "
            f"lost {restart.lost}"
        )
