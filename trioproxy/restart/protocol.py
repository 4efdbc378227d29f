"""What two generations say to each other; `docs/hot-restart-protocol.md` tells it in order.

A field may be added with a default and a message may be left out where the peer does not list its
feature; whatever else changes is a new `PROTOCOL_VERSION`, which the other side refuses.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from trioproxy.restart.version import PROTOCOL_VERSION
from trioproxy.restart.wire import Vocabulary

HAND_OVER = "hand_over"
PROGRESS = "progress"
CLOSE = "close"
GIVE_UP = "give_up"
FEATURES: tuple[str, ...] = (HAND_OVER, PROGRESS, CLOSE, GIVE_UP)
"""What this program can do beyond version 1 of the protocol."""

SECONDS = attrs.validators.ge(0.0)
"""What a time has to be: not negative, and a number."""


@attrs.frozen
class Hello:
    """Child to parent, first: who wants to take over. `epoch` is None where any will do.

    The child gives itself `init_timeout` seconds to be ready.
    """

    epoch: int | None
    init_timeout: float = attrs.field(validator=SECONDS)
    layout: int
    version: int = PROTOCOL_VERSION
    features: tuple[str, ...] = FEATURES


@attrs.frozen
class Healthy:
    """The hosts of a cluster that have passed their health checks, by the keys they go by."""

    cluster: str
    hosts: tuple[str, ...]


@attrs.frozen
class Attempt:
    """What became of a start: `at` is Unix time, `seconds` how long it took to come to that."""

    epoch: int
    at: float
    seconds: float
    outcome: str


@attrs.frozen
class Welcome:
    """Parent to child: the answer to Hello; the descriptor is the statistics region.

    `uptime` is the seconds since the first generation started, `history` the latest starts;
    `healthy` is what the child may begin with until it knows better.
    """

    epoch: int
    uptime: float = attrs.field(validator=SECONDS)
    version: int = PROTOCOL_VERSION
    features: tuple[str, ...] = FEATURES
    history: tuple[Attempt, ...] = ()
    healthy: tuple[Healthy, ...] = ()


@attrs.frozen
class Refused:
    """Parent to child, last: why not."""

    reason: str


@attrs.frozen
class PassListenSockets:
    """Child to parent: let me have what you listen on; you go on accepting."""


@attrs.frozen
class Passed:
    """One listen socket: whose it is, the address as configured, and whether systemd lent it."""

    listener: str
    address: str
    lent: bool


@attrs.frozen
class ListenSockets:
    """Parent to child: all of them; the descriptors are in the same order."""

    sockets: tuple[Passed, ...]


@attrs.frozen
class DrainListeners:
    """Child to parent: I am ready; accept no more, and have your connections leave.

    `kept` are the places in ListenSockets of the sockets that the child listens on, too; connects
    to the others are to be refused. `life` is when the child will say Terminate, in seconds.
    """

    kept: tuple[int, ...]
    life: float = attrs.field(validator=SECONDS)


@attrs.frozen
class Wait:
    """Parent to child: the answer takes this many seconds more; my own parent is leaving."""

    seconds: float = attrs.field(validator=SECONDS)


@attrs.frozen
class Draining:
    """Parent to child: accepting is yours alone now; so many connections are still with me.

    To a child with the feature `hand_over`, the descriptors are channels, one for each worker of
    the parent's, over which it offers connections.
    """

    connections: int


@attrs.frozen
class Speaking:
    """How many of a listener's connections speak a protocol, by what they are to come to.

    They may stay, will move, or are before a rung of their ladder.
    """

    protocol: str
    stay: int = 0
    move: int = 0
    notice: int = 0
    idle: int = 0
    stream: int = 0
    life: int = 0


@attrs.frozen
class Standing:
    """One connection: of which worker, its number there, how old it is, and until when it may be.

    `stands` is what it is in, `rung` what it is to come to, `due` when that is at the latest;
    times are in seconds. `received` and `sent` count bytes, where somebody does.
    """

    worker: int
    number: int
    listener: str
    protocol: str
    peer: str
    age: float
    stands: str
    rung: str
    due: float | None = None
    received: int | None = None
    sent: int | None = None


@attrs.frozen
class Listening:
    """A listener's connections: open, idle between requests, told to leave, about to move.

    `next` and `last` are the seconds until the first and the last have to be gone.
    """

    name: str
    open: int = 0
    idle: int = 0
    told: int = 0
    moving: int = 0
    next: float | None = None
    last: float | None = None
    protocols: tuple[Speaking, ...] = ()


@attrs.frozen
class Progress:
    """Parent to child with the feature `progress`, once a second while the parent drains.

    `begun_with` is how many connections were to leave or to move when that began, `moved` and
    `declined` what became of offers; `connections` are some of those that are left: who leaves last
    comes first, then who is oldest.
    """

    epoch: int
    phase: str
    listeners: tuple[Listening, ...]
    begun_with: int | None = None
    moved: int = 0
    declined: int = 0
    connections: tuple[Standing, ...] = ()


@attrs.frozen
class Terminate:
    """Child to parent: be gone in so many seconds, and do not come back when I am gone."""

    seconds: float = attrs.field(default=0.0, validator=SECONDS)


@attrs.frozen
class Close:
    """Child to parent with the feature `close`: have one of your connections leave at once."""

    worker: int
    number: int


@attrs.frozen
class GiveUp:
    """Child to parent with the feature `give_up`, last: why it will never be ready."""

    reason: str


ToParent: TypeAlias = Hello | PassListenSockets | DrainListeners | Close | Terminate | GiveUp
ToChild: TypeAlias = Welcome | Refused | ListenSockets | Wait | Draining | Progress

TO_PARENT = Vocabulary[ToParent](ToParent)
TO_CHILD = Vocabulary[ToChild](ToChild)
