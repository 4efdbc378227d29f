"""What main, the zygote and the workers say to each other."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from trioproxy.drain.lifetime import Cause
from trioproxy.restart.wire import Vocabulary


@attrs.frozen
class Fork:
    """Main to zygote: become one more worker; the descriptor is the worker's channel end."""

    worker: int


@attrs.frozen
class Forked:
    """Zygote to main: done; the descriptor is the new process's pidfd."""

    worker: int
    pid: int


@attrs.frozen
class NotForked:
    """Zygote to main: the system refused."""

    worker: int
    reason: str


@attrs.frozen
class Exited:
    """Zygote to main: a worker is gone; a negative status is the signal that killed it."""

    pid: int
    status: int


@attrs.frozen
class Start:
    """Main to worker, first: who you are.

    The descriptors are the statistics region, then one listen socket for each name in `listeners`.
    """

    epoch: int
    worker: int
    workers: int
    shutdown_time: float
    listeners: tuple[str, ...]


@attrs.frozen
class Accept:
    """Main to worker: let connections in; repeating it changes nothing."""


@attrs.frozen
class Suspend:
    """Main to worker: let no more connections in; those that are in do not notice."""


@attrs.frozen
class Refuse:
    """Main to worker, after Suspend: let in who waits at these listeners, then have the kernel
    refuse all others."""

    listeners: tuple[str, ...]


@attrs.frozen
class Drain:
    """Main to worker: ask connections to leave within `time`, end them after `life` seconds.

    `cause` is the value of a `Cause`.
    """

    time: float
    life: float
    immediate: bool = False
    cause: str = Cause.RESTART.value


@attrs.frozen
class HandOver:
    """Main to worker, before Drain: connections may go to the worker of the next generation that
    is at the other end of the channel whose descriptor this carries."""


@attrs.frozen
class Adopt:
    """Main to worker: a worker of the previous generation offers connections over the channel
    whose descriptor this carries."""


@attrs.frozen
class Resume:
    """Main to worker: that drain is off; who was already told to leave goes on leaving."""

    cause: str = Cause.RESTART.value


@attrs.frozen
class Close:
    """Main to worker: have the connection of this number leave at once, if it is there."""

    number: int


@attrs.frozen
class Shutdown:
    """Main to worker: let no more in, finish within so many seconds, then exit."""

    seconds: float


@attrs.frozen
class Terminate:
    """Main to worker: exit now."""


@attrs.frozen
class ReopenLogs:
    """Main to worker and zygote: the log files were moved; open them anew by name."""


@attrs.frozen
class SetLogLevel:
    """Main to worker: log `component`, or everything where it is empty, from this level on."""

    level: str
    component: str = ""


@attrs.frozen
class SetHealth:
    """Main to worker: tell whoever checks your health that you are well, or that you are not."""

    failed: bool


@attrs.frozen
class SetHosts:
    """Main to worker: these are all the hosts of a cluster from now on, each once.

    `hosts` is what `trioproxy.upstream.member.pack` makes of them.
    """

    cluster: str
    hosts: tuple[dict[str, object], ...]


@attrs.frozen
class Ping:
    """Main to worker: are you there?"""


@attrs.frozen
class Gather:
    """Main to worker: report; the answer carries the same number."""

    number: int


@attrs.frozen
class Confirm:
    """Main to worker: answer with an empty report.

    As commands are obeyed in order, that says that all earlier ones are done.
    """

    number: int


@attrs.frozen
class TellWhenEmpty:
    """Main to worker: report, by the same number, when no connection is left; Resume ends that."""

    number: int


@attrs.frozen
class Ready:
    """Worker to main: warm; waiting for Accept."""


@attrs.frozen
class Failed:
    """Worker to main, last: why there will be no Ready."""

    reason: str


@attrs.frozen
class Pong:
    """Worker to main: yes."""


@attrs.frozen
class Accuse:
    """Worker to main: a host has failed too often in a row; `kind` is that of an `EjectionType`."""

    cluster: str
    key: str
    kind: str


@attrs.frozen
class Report:
    """Worker to main: the figures that admin shows."""

    number: int
    body: dict[str, object]


ToZygote: TypeAlias = Fork | ReopenLogs
FromZygote: TypeAlias = Forked | NotForked | Exited
ToWorker: TypeAlias = (
    Start
    | Accept
    | Suspend
    | Refuse
    | Drain
    | HandOver
    | Adopt
    | Resume
    | Close
    | Shutdown
    | Terminate
    | ReopenLogs
    | SetLogLevel
    | SetHealth
    | SetHosts
    | Ping
    | Gather
    | Confirm
    | TellWhenEmpty
)
FromWorker: TypeAlias = Ready | Failed | Pong | Accuse | Report

TO_ZYGOTE = Vocabulary[ToZygote](ToZygote)
FROM_ZYGOTE = Vocabulary[FromZygote](FromZygote)
TO_WORKER = Vocabulary[ToWorker](ToWorker)
FROM_WORKER = Vocabulary[FromWorker](FromWorker)
