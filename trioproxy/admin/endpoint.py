"""What an endpoint is: a path, what it does, and how it is described in `/help`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View


@attrs.frozen
class Reading:
    """An endpoint that changes nothing."""

    path: str
    meaning: str
    answer: Callable[[View, Query], Response | Awaitable[Response]]
    parameters: Mapping[str, str] = attrs.field(factory=dict)

    def route(self, view: View) -> Route:
        """Return the route; a POST is as good as a GET, as it is to Envoy."""

        async def handle(request: Request) -> Response:
            answer = self.answer(view, request.query_params)
            return answer if isinstance(answer, Response) else await answer

        return Route(self.path, handle, methods=["GET", "POST"])


@attrs.frozen
class Command:
    """An endpoint that changes something, and therefore must be POSTed to.

    `query` is what its button says; None where one button cannot say it.
    """

    path: str
    meaning: str
    obey: Callable[[View, Query], Awaitable[Response]]
    parameters: Mapping[str, str] = attrs.field(factory=dict)
    query: str | None = ""

    def route(self, view: View) -> Route:
        """Return the route."""

        async def handle(request: Request) -> Response:
            return await self.obey(view, request.query_params)

        return Route(self.path, handle, methods=["POST"])


Endpoint: TypeAlias = Reading | Command
