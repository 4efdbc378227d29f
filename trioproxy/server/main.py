"""The main process: owns the region, the sockets and the workers, and never carries traffic.

What it owns is nested in the order in which one depends on the other, and undone in reverse:
region, zygote, sockets, supervisor, admin. The zygote process alone is older than all of it: it is
forked before Trio runs.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import attrs
import trio

from trioproxy.server import worker
from trioproxy.server.as_child import open_parent
from trioproxy.server.as_parent import AsParent
from trioproxy.server.children import open_children
from trioproxy.server.clusters import open_clusters
from trioproxy.server.generation import Ending, Generation, Phase, cancel_when
from trioproxy.server.inherited import systemd_sockets
from trioproxy.server.limits import dump_stacks_to, raise_descriptor_limit
from trioproxy.server.log import open_log
from trioproxy.server.notify import Notifier
from trioproxy.server.place import StartFailed
from trioproxy.server.sockets import BindFailed, open_sockets
from trioproxy.server.supervisor import Crew, Supervisor
from trioproxy.server.wanted import open_control, wanted_by_admin, wanted_by_listeners
from trioproxy.server.zygote import fork_zygote, name_process
from trioproxy.stats.locks import Lock
from trioproxy.stats.writer import MAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    from trioproxy.config.options import Options
    from trioproxy.config.server import Config
    from trioproxy.server.as_child import AsChild
    from trioproxy.server.children import Children
    from trioproxy.server.inherited import Inherited
    from trioproxy.server.log import ProcessLog
    from trioproxy.server.plane import OpenPlane
    from trioproxy.server.zygote import Seed
    from trioproxy.stats.locks import LockFile
    from trioproxy.stats.region import Region

log = logging.getLogger("trioproxy.main")

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
BACKSTOP = 10.0  # seconds past the shutdown time, after which the kernel's alarm ends everything

ServeAdmin: TypeAlias = Callable[[Generation, socket.socket], Awaitable[None]]
"""Serves the admin interface on a listening socket, while its door is open, until cancelled."""


@attrs.frozen
class Parts:
    """What main is made of: what the operator said, and the floors below."""

    options: Options
    config: Config
    process_log: ProcessLog
    open_plane: OpenPlane
    serve_admin: ServeAdmin
    environment: Mapping[str, str]


def run(
    options: Options,
    config: Config,
    open_plane: OpenPlane,
    serve_admin: ServeAdmin,
    environment: Mapping[str, str],
) -> int:
    """Be the main process until the end; returns the exit status.

    `environment` is where systemd says which sockets it passed and whom to notify. Raises OSError
    where the log cannot be opened.
    """
    levels = dict(options.component_log_level)
    with open_log(options.log_level, levels, options.log_path, options.log_format) as process_log:
        parts = Parts(options, config, process_log, open_plane, serve_admin, environment)
        return be_main(parts)


def be_main(parts: Parts) -> int:
    """Fork the zygote, then run Trio; returns the exit status."""
    name_process("main")
    raise_descriptor_limit()
    dump_stacks_to(parts.process_log)
    # From here on signals wait until somebody is there to obey them.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    passed = systemd_sockets(parts.environment, os.getpid())

    def work(end: socket.socket) -> int:
        return trio.run(worker.live, end, parts.open_plane, parts.process_log)

    seed = fork_zygote(work, parts.process_log, strangers=[each.sock for each in passed])
    status = 1
    try:
        status = trio.run(live, parts, seed, passed)
    except* (BindFailed, StartFailed) as failures:
        for failure in flatten(failures):
            log.critical("%s", failure)
    return status


async def live(parts: Parts, seed: Seed, passed: Sequence[Inherited]) -> int:
    """Open all that a generation is made of, and let it live; returns the exit status.

    `passed` are the sockets that systemd passed. Raises groups of BindFailed and StartFailed.
    """
    ending = Ending()
    with trio.open_signal_receiver(*SIGNALS) as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        async with trio.open_nursery() as nursery:
            obedience = Obedience(ending, nursery.cancel_scope)
            nursery.start_soon(obedience.obey, signals)
            async with (
                open_children(seed) as children,
                open_parent(parts.options, parts.config.hot_restart) as parent,
                open_generation(parts, parent, children, passed, ending) as generation,
            ):
                obedience.generation = generation
                await serve(generation, parts.serve_admin)
            nursery.cancel_scope.cancel()
    return ending.status


@asynccontextmanager
async def open_generation(
    parts: Parts,
    parent: AsChild,
    children: Children,
    passed: Sequence[Inherited],
    ending: Ending,
) -> AsyncIterator[Generation]:
    """Open the region and the sockets, or have them from the parent; none begins to listen here.

    Raises BindFailed and StartFailed.
    """
    options, config = parts.options, parts.config
    epoch = None if options.restart_epoch == "auto" else options.restart_epoch
    lineage, region = await parent.meet(epoch)
    with region, lock_restart(region) as lock, region.claim(lineage.epoch, MAIN) as writer:
        inherited = [*await parent.sockets(), *passed]
        rng, listeners = random.SystemRandom(), wanted_by_listeners(config, options.concurrency)
        with (
            open_control(options, rng, inherited, beside=parent.silent) as (base_id, control),
            open_sockets(wanted_by_admin(config), inherited, beside=parent.lost) as admin,
            open_sockets(listeners, inherited, beside=parent.lost) as web,
        ):
            crew = Crew(
                lineage.epoch, options.concurrency, config.shutdown.time, web, region.fd, writer
            )
            supervisor = Supervisor(crew, children, partial(ending.ask, status=1))
            with open_clusters(
                config.clusters, region, writer, rng, supervisor, lineage
            ) as clusters:
                yield Generation(
                    lineage=lineage,
                    base_id=base_id,
                    options=options,
                    config=config,
                    process_log=parts.process_log,
                    notifier=Notifier(parts.environment),
                    region=region,
                    writer=writer,
                    parent=parent,
                    restart_lock=lock,
                    inherited=inherited,
                    control=control,
                    admin=admin,
                    sockets=web,
                    supervisor=supervisor,
                    clusters=clusters,
                    ending=ending,
                )


def lock_restart(region: Region) -> LockFile:
    """Be the one generation that starts; raises StartFailed where another one does."""
    lock = region.try_lock(Lock.RESTART)
    if lock is None:
        raise StartFailed("another restart is in progress, or stopped half-way")
    return lock


async def serve(generation: Generation, serve_admin: ServeAdmin) -> None:
    """Start, serve, and leave when asked to."""
    generation.enter(Phase.INITIALISING)
    write_files(generation)
    async with trio.open_nursery() as nursery:
        for bound in generation.admin.bound:
            nursery.start_soon(look_after_admin, serve_admin, generation, bound.sock)
        for bound in generation.control.bound:
            attend = partial(AsParent(generation, nursery).accept, bound.sock)
            nursery.start_soon(generation.control_door.keep, attend)
        nursery.start_soon(generation.admin_drain.run)
        async with trio.open_nursery() as starting:
            starting.start_soon(cancel_when, generation.ending.asked, starting.cancel_scope)
            await generation.start(nursery)
            nursery.start_soon(generation.outlive_parent)
            starting.cancel_scope.cancel()
        await generation.ending.asked.wait()
        with backstop(generation):
            await generation.leave()
        nursery.cancel_scope.cancel()
    generation.enter(Phase.TERMINATED)


async def look_after_admin(
    serve_admin: ServeAdmin, generation: Generation, sock: socket.socket
) -> None:
    """Serve admin; what goes wrong in it is logged and costs admin alone."""
    try:
        await serve_admin(generation, sock)
    except Exception:
        log.exception("the admin interface failed; traffic is served on")


@attrs.define
class Obedience:
    """Does what each signal means; before there is a generation, `everything` ends at once."""

    ending: Ending
    everything: trio.CancelScope
    generation: Generation | None = None

    async def obey(self, signals: AsyncIterator[int]) -> None:
        """Obey until cancelled."""
        async for number in signals:
            match number:
                case signal.SIGUSR1:
                    await self._reopen_logs()
                case signal.SIGHUP:
                    log.info("SIGHUP: nothing is reloaded; a next generation brings changes")
                case _:
                    self.ending.ask(signal.Signals(number).name)
                    if self.generation is None:
                        self.everything.cancel()

    async def _reopen_logs(self) -> None:
        if self.generation is not None:
            log.info("SIGUSR1: reopening logs")
            await self.generation.reopen_logs()


@contextmanager
def backstop(generation: Generation) -> Iterator[None]:
    """Have the kernel end everything if leaving takes much longer than it may."""

    def strike(_: int, __: FrameType | None) -> None:
        log.critical("leaving did not end in time: killing the workers")
        generation.supervisor.kill()
        os._exit(0)

    signal.signal(signal.SIGALRM, strike)
    allowed = generation.config.shutdown.lame_duck + generation.config.shutdown.time
    signal.setitimer(signal.ITIMER_REAL, allowed + BACKSTOP)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def write_files(generation: Generation) -> None:
    """Write the files that tell where this instance is to be found; raises StartFailed."""
    options = generation.options
    facts = [(options.base_id_path, str(generation.base_id))]
    facts += [(options.admin_address_path, str(bound.local)) for bound in generation.admin.bound]
    for path, fact in facts:
        if path is None:
            continue
        try:
            path.write_text(fact)
        except OSError as error:
            raise StartFailed(f"cannot write {path}: {error.strerror}") from error


def flatten(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Return what is in a group and the groups in it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from flatten(error)
        else:
            yield error
