"""What can go wrong with an exchange or a connection, as types that know how to answer.

Raise low, answer in one place. Each type carries the HTTP status to answer with, Envoy's response
flag for the access log, and whether another attempt may succeed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class ProxyError(Exception):
    """Something ended an exchange or a connection; the type says how to answer and to log it.

    `status` is the HTTP status of the local answer, `flag` the response flag of the access log
    (Envoy's `%RESPONSE_FLAGS%`), `retriable` whether the request did not reach an upstream or can
    go to another one, `retry_on` the name under which a retry policy speaks of it, `words` what to
    say where nothing else was said.
    """

    status: ClassVar[int] = 500
    flag: ClassVar[str] = "-"
    retriable: ClassVar[bool] = False
    retry_on: ClassVar[str] = ""
    words: ClassVar[str] = ""

    def __str__(self) -> str:
        return super().__str__() or self.words

    @property
    def answer(self) -> int:
        """The status of the local answer to this very error."""
        return self.status


class DownstreamError(ProxyError):
    """The client's side failed."""

    flag = "DC"


class DownstreamClosed(DownstreamError):
    """The client went away before the exchange was complete."""


class DownstreamProtocolError(DownstreamError):
    """The client broke the protocol; the connection cannot be used further."""

    status = 400
    flag = "DPE"

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self._answer = status

    @property
    def answer(self) -> int:
        """The status that the codec asks for."""
        return self._answer


class UpstreamError(ProxyError):
    """The upstream's side failed."""

    status = 503
    flag = "UF"


class ConnectFailed(UpstreamError):
    """No connection to the host could be made."""

    timed_out: ClassVar[bool] = False
    retriable = True
    retry_on = "connect_failure"


class NoHealthyUpstream(UpstreamError):
    """The cluster has no host to offer."""

    flag = "UH"


class UpstreamOverflow(UpstreamError):
    """A circuit breaker of the cluster is open."""

    flag = "UO"


class UpstreamReset(UpstreamError):
    """The upstream closed the connection in the middle of an exchange."""

    flag = "UC"
    retriable = True
    retry_on = "reset"


class StaleConnection(UpstreamReset):
    """A kept connection turned out to be closed: the host has probably not seen the request."""


class StreamCut(UpstreamReset):
    """The upstream reset the stream of an exchange; its connection goes on."""

    flag = "UR"


class RequestRefused(StreamCut):
    """The upstream says that it has done nothing for the request: any can be sent again."""


class UpstreamProtocolError(UpstreamError):
    """What the upstream sent is not a well-framed response."""

    status = 502
    flag = "UPE"


class UpstreamTimeout(UpstreamError):
    """The route's timeout ran out before the response head, whatever it was spent on."""

    status = 504
    flag = "UT"
    words = "upstream request timeout"


class PendingTimeout(UpstreamTimeout):
    """That was while the request waited for a connection to be free: no host is to blame."""


class TryTimeout(UpstreamTimeout):
    """One attempt's share of the route's timeout ran out before the response head."""

    retriable = True
    retry_on = "per_try_timeout"


class NoRoute(ProxyError):
    """No route of the listener matches the request."""

    status = 404
    flag = "NR"


class MethodRefused(ProxyError):
    """The request's method is not served here."""

    status = 405


class FilterFailed(ProxyError):
    """A filter raised; its exchange is answered, nothing else is touched."""

    status = 500
    flag = "FF"


@contextmanager
def first_failure() -> Iterator[None]:
    """Raise of what a nursery wraps within the block the first ProxyError, by itself.

    A cancellation beside it is left out: who cancelled us will do so again.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        failures = group.subgroup(ProxyError)
        if failures is None:
            raise
        raise _first_of(failures) from None


def _first_of(failures: BaseExceptionGroup[ProxyError]) -> ProxyError:
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, ProxyError)
    return found
