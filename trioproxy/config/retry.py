"""When a request is tried again."""

from typing import Annotated, Literal

import attrs

from trioproxy.config.marks import Invalid, Length, Range
from trioproxy.config.units import Fraction, Seconds

RetryOn = Literal[
    "connect_failure",
    "reset",
    "per_try_timeout",
    "5xx",
    "gateway_error",
    "retriable_4xx",
    "retriable_status_codes",
]


@attrs.frozen
class Backoff:
    """The pause before the n-th retry: a random part of `base * (2**n - 1)`, at most `max`."""

    base: Annotated[Seconds, "What the pause grows from"] = 0.025
    max: Annotated[Seconds, "The longest pause"] = 0.25

    def __attrs_post_init__(self) -> None:
        if self.max < self.base:
            raise Invalid("max is less than base", "max")


@attrs.frozen
class Retry:
    """Another attempt, where the request can be replayed safely."""

    on: Annotated[
        tuple[RetryOn, ...],
        Length(1),
        "On what: no connection; a reset before the response; an attempt's timeout; any 5xx, or"
        " only 502, 503, 504 (`gateway_error`); 409 (`retriable_4xx`); or `status_codes`",
    ]
    attempts: Annotated[int, Range(1, 100), "Tries after the first one, at most"] = 1
    per_try_timeout: Annotated[Seconds | None, "One try's share of the route's timeout"] = None
    hedge_on_per_try_timeout: Annotated[
        bool,
        "A try that takes so long goes on, and another one is made beside it, whatever `on` says;"
        " the first answer that is not to be tried again is taken",
    ] = False
    retry_host_predicate: Annotated[
        Literal["previous_hosts", "none"],
        "Hosts that a further try is not made at, while there are others",
    ] = "previous_hosts"
    budget: Annotated[
        Fraction | None,
        "Retries in flight as a share of the requests in flight, 3 at least, all workers together;"
        " replaces the cluster's `retry_budget` and `max_retries`",
    ] = None
    backoff: Annotated[Backoff, "The pause before a try"] = Backoff()
    status_codes: Annotated[
        tuple[Annotated[int, Range(100, 599)], ...], "For `retriable_status_codes`"
    ] = ()

    def __attrs_post_init__(self) -> None:
        if self.hedge_on_per_try_timeout and not self.per_try_timeout:
            raise Invalid("expected a per_try_timeout, too", "hedge_on_per_try_timeout")
        if bool(self.status_codes) != ("retriable_status_codes" in self.on):
            raise Invalid("status_codes and on: [retriable_status_codes] belong together")
