"""The one shape of filters, and how several become one callable.

A filter is an async callable that is called with its subject (a connection or an exchange) and
with `forward`, which calls the rest of the chain. The call lasts as long as the subject does in
that filter's hands. The last filter of a chain is terminal: it does not forward.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Subject = TypeVar("Subject")
Forward = Callable[[Subject], Awaitable[None]]


class Filter(Protocol[Subject]):
    """What stands in a chain."""

    async def __call__(self, subject: Subject, forward: Forward[Subject], /) -> None:
        """Treat the subject; call `forward` for what comes behind this filter, or do not."""
        ...


async def end_of_chain(subject: object) -> None:
    """Stand behind the last filter, which is terminal and never comes here."""
    raise AssertionError(f"the last filter of a chain forwarded {subject!r}")


def chain(filters: Sequence[Filter[Subject]]) -> Forward[Subject]:
    """Fold filters, the first one outermost."""
    forward: Forward[Subject] = end_of_chain
    for each in reversed(filters):
        forward = partial(_call, each, forward)
    return forward


def _call(each: Filter[Subject], forward: Forward[Subject], subject: Subject) -> Awaitable[None]:
    return each(subject, forward)
