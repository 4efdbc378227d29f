"""What two workers of different generations say to each other about a connection.

The connection's descriptors ride along: the client's socket, then the upstream's if there is one.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TypeAlias

import attrs

from trioproxy.codec.proxy_protocol import Ends  # noqa: TC001
from trioproxy.restart.wire import Vocabulary

TCP, TUNNEL, HTTP1 = "tcp", "tunnel", "http1"


@attrs.frozen
class Offer:
    """Old to new: have this connection; until you answer I do not touch it, nor do you.

    `age` is in seconds. `forth` and `back` are base64 of what was read from the client and from
    the upstream and not passed on yet, `head` of the request that became a tunnel; `frames` tell
    where those of a WebSocket stand, and `facts` are what the access log will say of it. `chain` is
    the filter chain that it is in; `ends` are hosts and ports of client and proxy, where somebody
    in between has told them.
    """

    kind: str
    listener: str
    age: float
    number: int = 0
    requests: int = 0
    cluster: str = ""
    host: str = ""
    forth: str = ""
    back: str = ""
    head: str = ""
    frames: tuple[str, ...] = ()
    facts: dict[str, object] = attrs.field(factory=dict)
    chain: str = ""
    ends: tuple[str, ...] = ()


@attrs.frozen
class Accepted:
    """New to old: it is mine from now on. This is the commit: close your copies."""

    number: int


@attrs.frozen
class Declined:
    """New to old: I closed my copies; it stays yours."""

    number: int
    reason: str


Answer: TypeAlias = Accepted | Declined


def ends_of(offer: Offer) -> Ends | None:
    """Return the ends that somebody in between has told, if any; raises ValueError."""
    if not offer.ends:
        return None
    source, port, destination, at = offer.ends
    return (source, int(port)), (destination, int(at))


OFFERS = Vocabulary[Offer](Offer)
ANSWERS = Vocabulary[Answer](Answer)


def to_text(data: bytes | memoryview) -> str:
    """Write bytes as a message may carry them."""
    return b64encode(data).decode()


def to_bytes(text: str) -> bytes:
    """Undo `to_text`; raises ValueError."""
    return b64decode(text, validate=True)
