"""One run: an origin, a proxy, its clients, and restarts one after the other."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import attrs
import trio

from benchmarks.origin import free_ports
from soak.clients import NewConnections, busy, sleepy
from soak.generations import Generations, SoakError, ending
from soak.ledger import Kind, Ledger, Phase, Restart
from soak.sessions import Session, standing
from soak.systems import Ports, Times
from soak.transfers import Transfers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from soak.systems import System

LEAD = 0.5  # seconds that transfers have run when the restart is commanded


@attrs.frozen
class Plan:
    """How often, under which load; times in seconds, rates a second."""

    restarts: int = 20
    rate: float = 400
    busy: int = 48
    busy_rate: float = 10
    sleepy: int = 16
    sleepy_gap: float = 1
    transfer: float = 6
    tcp: int = 0
    websockets: int = 0
    calm: float = 1
    through: str = "http"
    workers: tuple[int, ...] = (2,)
    times: Times = Times(5, 8)
    core: int | None = None


async def soak(plan: Plan, system: System, directory: Path, say: Callable[[str], None]) -> Ledger:
    """Carry out the plan; a restart that fails ends the run and stands in the ledger."""
    with open_origin() as (origin_http, origin_echo):
        ports = Ports(*free_ports(4), origin_http, origin_echo)
        generations = Generations(
            system, directory, ports, plan.times, plan.workers, plan.core
        )
        with ending(generations):
            generations.start()
            await generations.wait_serving()
            ledger = Ledger(trio.current_time)
            async with trio.open_nursery() as clients:
                sessions = start_clients(plan, ports, ledger, clients)
                await restart_all(plan, ports, generations, sessions, ledger, say)
                clients.cancel_scope.cancel()
            return ledger


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


def start_clients(
    plan: Plan, ports: Ports, ledger: Ledger, clients: trio.Nursery
) -> list[Session]:
    """Start everyone who asks all the time; returns the sessions."""
    rng = random.Random(1)
    port = web_port(plan, ports)
    sessions = [Session(ports.echo, ledger, Kind.TCP) for _ in range(plan.tcp)]
    sessions += [Session(port, ledger, Kind.WEBSOCKET) for _ in range(plan.websockets)]
    runs: list[Callable[[], Awaitable[None]]] = [NewConnections(port, ledger, plan.rate).run]
    runs += [client.run for client in busy(port, ledger, rng, plan.busy, plan.busy_rate)]
    runs += [client.run for client in sleepy(port, ledger, rng, plan.sleepy, plan.sleepy_gap)]
    for run in [*runs, *(session.run for session in sessions)]:
        clients.start_soon(run)
    return sessions


def web_port(plan: Plan, ports: Ports) -> int:
    """Where the HTTP clients go: to the HTTP filter, or through L4."""
    return ports.http if plan.through == "http" else ports.tcp


async def restart_all(
    plan: Plan,
    ports: Ports,
    generations: Generations,
    sessions: list[Session],
    ledger: Ledger,
    say: Callable[[str], None],
) -> None:
    """Restart as often as planned, each time with transfers under way; then let them end."""
    transfers = Transfers(web_port(plan, ports), ledger, plan.transfer)
    await trio.sleep(plan.calm)
    async with trio.open_nursery() as under_way:
        for _ in range(plan.restarts):
            if plan.transfer:
                under_way.start_soon(transfers.run)
            await trio.sleep(LEAD)
            try:
                restart = await restart_once(generations, sessions, ledger)
            except SoakError as failure:
                ledger.failures.append(str(failure))
                say(str(failure))
                under_way.cancel_scope.cancel()
                return
            ledger.restarts.append(restart)
            say(told(restart, plan.restarts, ledger))
            await trio.sleep(plan.calm)


async def restart_once(
    generations: Generations, sessions: list[Session], ledger: Ledger
) -> Restart:
    """Start the next generation and see the last one off; raises SoakError."""
    before = {kind: standing(sessions, kind) for kind in (Kind.TCP, Kind.WEBSOCKET)}
    ledger.phase, commanded = Phase.STARTING, ledger.now()
    epoch = generations.start()
    await generations.wait_serving()
    ledger.phase, serving = Phase.DRAINING, ledger.now()
    await generations.wait_gone()
    ledger.phase, gone = Phase.CALM, ledger.now()
    survived = {
        kind: (len(stood & standing(sessions, kind)), len(stood))
        for kind, stood in before.items()
        if stood
    }
    return Restart(epoch, commanded, serving, gone, survived)


def told(restart: Restart, restarts: int, ledger: Ledger) -> str:
    """One line of progress."""
    return (
        f"restart {restart.epoch} of {restarts}: "
        f"serving after {(restart.serving - restart.commanded) * 1000:.0f} ms, "
        f"old generation gone after {restart.gone - restart.serving:.1f} s, lost {ledger.lost}"
    )
