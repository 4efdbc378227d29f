"""`header_mutation`: changes headers at this point of the chain."""

from functools import partial
from typing import Annotated

import attrs

from trioproxy.config.headers import UNCHANGED, HeaderOperations
from trioproxy.config.marks import Invalid
from trioproxy.filters.chain import Forward
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.http.header_operations import Change, compile_operations
from trioproxy.filters.http.tools import HttpTools


@attrs.frozen
class HeaderMutation:
    """Change the headers of requests for the filters behind, of responses for those before."""

    request_headers: Annotated[HeaderOperations, "Changes to the request's headers"] = UNCHANGED
    response_headers: Annotated[HeaderOperations, "Changes to the response's headers"] = UNCHANGED

    def __attrs_post_init__(self) -> None:
        for field in ("request_headers", "response_headers"):
            try:
                compile_operations([getattr(self, field)])
            except ValueError as error:
                raise Invalid(str(error), field) from None

    def prepare(self, _tools: HttpTools) -> "HeaderMutating":
        """Return the filter."""
        return HeaderMutating(
            compile_operations([self.request_headers]), compile_operations([self.response_headers])
        )


class HeaderMutating:
    """A `header_mutation` in service."""

    def __init__(self, change_request: Change | None, change_response: Change | None) -> None:
        self._change_request = change_request
        self._respond = change_response and partial(_change_response, change_response)

    async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None:
        """Change the request, forward it, change what comes back."""
        if self._change_request is not None:
            self._change_request(exchange.request.headers, exchange.record)
        if self._respond is not None:
            exchange.on_response(self._respond)
        await forward(exchange)


async def _change_response(change: Change, exchange: Exchange) -> None:
    assert exchange.response is not None
    change(exchange.response.headers, exchange.record)
