"""What an access log can say about one exchange, or about one connection of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeGuard

if TYPE_CHECKING:
    from trioproxy.headers import Headers


# Envoy's, in its order; ours last
FLAGS = "LH UH UT UR UF UC UO NR DI FI RL DC URX SI DPE DT UPE FF"


class Head(Protocol):
    """A message head, as far as the log reads it."""

    @property
    def headers(self) -> Headers: ...


class RequestHead(Head, Protocol):
    """A request's head, as far as the log reads it: text as it stood on the wire, unescaped."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def authority(self) -> str: ...
    @property
    def scheme(self) -> str: ...


class Agreed(Protocol):
    """What was agreed on by TLS, as far as the log reads it: an `ssl.SSLObject`."""

    def version(self) -> str | None: ...
    def cipher(self) -> tuple[str, str, int] | None: ...


NOT_TEXT = frozenset({"request", "response", "tls"})
MOMENTS = frozenset({"started", "request_received", "response_started", "ended"})


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number of seconds."""
    return isinstance(value, (int, float))


class Record:
    """The facts of one exchange, filled in as it goes; what stays None is logged as `-`.

    Moments are seconds: `start_time` on the wall clock (Unix time), the others on one monotonic
    clock of the caller's choice. Bytes are those of bodies, or of the whole connection where there
    is no HTTP. Addresses are `ip:port`, `[ip]:port` or a path.
    """

    start_time: float
    """When the exchange began: the first byte of its head."""
    started: float
    """The same moment on the monotonic clock."""
    request_received: float | None = None
    """The request's last byte came in."""
    response_started: float | None = None
    """The upstream's first byte came in."""
    ended: float | None = None
    """The last byte went out to the client."""

    request: RequestHead | None
    response: Head | None
    protocol: str | None = None
    """`HTTP/1.1` and the like; None for bytes."""
    status: int = 0
    """The status sent downstream; 0 where none was."""
    flags: str | None = None
    """Response flags, joined by commas; None for a clean end."""
    details: str | None = None
    """Why this status: `via_upstream`, `route_not_found` ..."""
    bytes_received: int = 0
    bytes_sent: int = 0
    route: str | None = None

    connection_id: int | None = None
    downstream_remote: str | None = None
    downstream_local: str | None = None
    server_name: str | None = None
    """What TLS asked for (SNI)."""
    tls: Agreed | None

    cluster: str | None = None
    upstream_host: str | None = None
    """The address of the host that was chosen last."""
    upstream_local: str | None = None
    upstream_failure: str | None = None
    """Why the last attempt's transport failed."""
    attempts: int = 0
    """How many hosts were tried."""

    def __init__(self, start_time: float, started: float) -> None:
        self.start_time = start_time
        self.started = started
        self.request = self.response = self.tls = None  # compiled, protocols have no default

    def __repr__(self) -> str:
        return f"<Record {self.status} {self.details or 'without details'}>"

    def facts(self, now: float) -> dict[str, object]:
        """Return what is known, fit for JSON, for another process; moments become ages.

        The heads and TLS are left out. `now` is the moment on the monotonic clock.
        """
        found: dict[str, object] = {}
        for name in NAMES:
            value = getattr(self, name)
            if name in MOMENTS:
                found[name] = None if value is None else now - value
            elif name not in NOT_TEXT:
                found[name] = value
        return found

    @classmethod
    def of(cls, facts: dict[str, object], now: float) -> Record:
        """Undo `facts`; what does not fit is left as it is by default."""
        record = cls(0.0, now)
        for name in NAMES:
            value, default = facts.get(name), getattr(record, name)
            if name in MOMENTS:
                if is_number(value):
                    setattr(record, name, now - value)
            elif name not in NOT_TEXT and (default is None or type(value) is type(default)):
                setattr(record, name, value)
        return record

    def flag(self, name: str) -> None:
        """Add a response flag, unless it is there; `-` is none."""
        flags = set() if self.flags is None else set(self.flags.split(","))
        if name != "-":
            self.flags = ",".join(sorted(flags | {name}, key=FLAGS.find))


def _names() -> list[str]:
    """Return the names of a record's facts, compiled or not."""
    record = Record(0.0, 0.0)
    names = (name for name in dir(record) if not name.startswith("_"))
    return [name for name in names if not callable(getattr(record, name))]


NAMES = _names()
