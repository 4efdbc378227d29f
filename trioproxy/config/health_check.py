"""How the health of a cluster's hosts is checked from here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import attrs

from trioproxy.config.marks import Count, Invalid, Length, Matching, Range
from trioproxy.config.route import one_of
from trioproxy.config.units import Fraction, Seconds
from trioproxy.headers import Headers

FRAMING = frozenset({"connection", "content-length", "host", "transfer-encoding"})
HOST = Matching(r"[!-~]+", "a host such as app.example")
Host = Annotated[str, HOST]
Target = Annotated[str, Matching(r"/[!-~]*", "a path such as /healthz, of printable ASCII")]
Status = Annotated[int, Range(100, 600)]


@attrs.frozen
class StatusRange:
    """Statuses from `start` up to, but not including, `end`; a bare number is that status alone."""

    short: ClassVar[str] = "start"

    start: Annotated[Status, "The first status"]
    end: Annotated[Status | None, "The one behind the last; null: `start` alone"] = None

    def __attrs_post_init__(self) -> None:
        if self.end is not None and self.end <= self.start:
            raise Invalid(f"no status is from {self.start} up to {self.end}", "end")

    def __contains__(self, status: int) -> bool:
        return self.start <= status < (self.start + 1 if self.end is None else self.end)


@attrs.frozen
class HttpCheck:
    """A request over HTTP/1.1, answered with a status that is expected."""

    path: Annotated[Target, "The path that is asked for, with its query"]
    method: Annotated[
        Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE"],
        "The method; no body is sent",
    ] = "GET"
    host: Annotated[Host | None, "The Host field; null: the name of the cluster"] = None
    headers: Annotated[
        Mapping[str, str], "Header fields that are sent, the `user-agent` may be one of them"
    ] = attrs.Factory(dict)
    expected_statuses: Annotated[
        tuple[StatusRange, ...], Length(1), "Statuses that say that the host is healthy"
    ] = (StatusRange(200),)
    retriable_statuses: Annotated[
        tuple[StatusRange, ...],
        "Statuses that count towards `unhealthy_threshold`; all others fail the host at once",
    ] = ()

    def __attrs_post_init__(self) -> None:
        for name, value in self.headers.items():
            if name.lower() in FRAMING:
                raise Invalid(f"{name} frames or addresses the message (see `host`)", "headers")
            try:
                Headers().add(name, value)
            except ValueError as error:
                raise Invalid(str(error), "headers") from None


@attrs.frozen
class Payload:
    """Bytes that are sent or looked for; a bare text is that text in UTF-8."""

    short: ClassVar[str] = "text"

    text: Annotated[str | None, 'A text; `"\\r\\n"` in double quotes ends a line'] = None
    hex: Annotated[str | None, "Any bytes, as hexadecimal digits"] = None

    def __attrs_post_init__(self) -> None:
        one_of(self, "text", "hex")
        try:
            bytes.fromhex(self.hex or "")
        except ValueError:
            raise Invalid(f"expected hexadecimal digits, found {self.hex!r}", "hex") from None
        if not self.data:
            raise Invalid("expected at least one byte")

    @property
    def data(self) -> bytes:
        """The bytes."""
        return bytes.fromhex(self.hex or "") if self.text is None else self.text.encode()


@attrs.frozen
class TcpCheck:
    """A connection that can be made; with `send` and `receive` also one that answers."""

    send: Annotated[Payload | None, "What is sent; null: nothing"] = None
    receive: Annotated[
        tuple[Payload, ...],
        "What has to come: each one, in this order, whatever else comes between them",
    ] = ()


@attrs.frozen
class ActiveHealthCheck:
    """A check of each host, made once per instance: by its main process, for all workers."""

    http: Annotated[HttpCheck | None, "Check by an HTTP request"] = None
    tcp: Annotated[TcpCheck | None, "Check by a TCP connection"] = None
    interval: Annotated[Seconds, "The pause between two checks of a host"] = 5.0
    timeout: Annotated[Seconds, "A check that takes longer has failed"] = 1.0
    healthy_threshold: Annotated[
        Count, "So many successes in a row make an unhealthy host healthy; the first ever is enough"
    ] = 2
    unhealthy_threshold: Annotated[
        Count, "So many failures in a row make a healthy host unhealthy; the first ever is enough"
    ] = 3
    initial_jitter: Annotated[Seconds, "The first check of a host waits for up to so long"] = 0.0
    interval_jitter: Annotated[Seconds, "Each pause is longer by up to so much, at random"] = 0.0
    interval_jitter_percent: Annotated[Fraction, "The same as a share of the pause"] = 0.1
    unhealthy_interval: Annotated[
        Seconds | None, "The pause while a host is unhealthy; null: `interval`"
    ] = None
    unhealthy_edge_interval: Annotated[
        Seconds | None,
        "The pause while failures have begun to count, but the host is still healthy;"
        " null: `unhealthy_interval`",
    ] = None
    healthy_edge_interval: Annotated[
        Seconds | None,
        "The pause while successes have begun to count, but the host is still unhealthy;"
        " null: `interval`",
    ] = None
    no_traffic_interval: Annotated[
        Seconds,
        "The pause as long as the cluster has never been connected to, and enough of its hosts are"
        " healthy",
    ] = 60.0
    no_traffic_healthy_interval: Annotated[
        Seconds | None,
        "The same for a host that is healthy; null: `no_traffic_interval`",
    ] = None
    reuse_connection: Annotated[bool, "Check over the same connection as long as it stands"] = True
    alt_port: Annotated[
        Annotated[int, Range(1, 65535)] | None, "Check at this port instead of the host's own"
    ] = None
    event_log_path: Annotated[
        Path | None, "Where a JSON line is appended for each change of a host's health"
    ] = None
    always_log_health_check_failures: Annotated[bool, "There also for each failed check"] = False
    always_log_health_check_success: Annotated[bool, "There also for each passed check"] = False

    def __attrs_post_init__(self) -> None:
        one_of(self, "http", "tcp")
        for field in ("interval", "timeout"):
            if not getattr(self, field):
                raise Invalid(f"{field} is 0", field)
