"""`python`: an HTTP filter of one's own."""

from typing import cast

import attrs

from trioproxy.filters.chain import Filter, Forward
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.http.presence import Presence
from trioproxy.filters.http.tools import HttpTools
from trioproxy.filters.imported import Imported
from trioproxy.filters.tools import prepared


@attrs.frozen
class PythonHttpFilter(Imported):
    """An HTTP filter of one's own: a class whose instances are awaited with each exchange."""

    def prepare(self, tools: HttpTools) -> "PythonHttpFiltering":
        """Import and make the filter; raises ValueError."""
        made = prepared(self.make(tools.worker.import_path), tools)
        return PythonHttpFiltering(cast("Filter[Exchange]", made), tools)


class PythonHttpFiltering:
    """A `python` filter in service."""

    def __init__(self, made: Filter[Exchange], tools: HttpTools) -> None:
        self._filter = made
        self._tools = tools

    async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None:
        """Call the filter; it is cancelled where the client leaves unanswered."""
        with Presence(exchange, self._tools):
            await self._filter(exchange, forward)
