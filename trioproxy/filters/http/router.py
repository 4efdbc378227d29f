"""`router`: the terminal HTTP filter; it takes the exchange where its route says."""

import attrs

from trioproxy.filters.http.dispatch import Dispatch
from trioproxy.filters.http.tools import HttpTools


@attrs.frozen
class Router:
    """Route the request: to a cluster, to a redirect or to a direct response."""

    def prepare(self, tools: HttpTools) -> Dispatch:
        """Return the filter."""
        return Dispatch(tools)
