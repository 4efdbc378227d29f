"""`python`: an HTTP filter of one's own."""

import logging
from typing import cast

import attrs

from trioproxy.drain.sweep import Sweep
from trioproxy.filters.chain import Filter, Forward
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.http.presence import Presence
from trioproxy.filters.http.tools import HttpTools
from trioproxy.filters.imported import Imported
from trioproxy.filters.tools import prepared

log = logging.getLogger("trioproxy.python")


@attrs.frozen
class PythonHttpFilter(Imported):
    """An HTTP filter of one's own: a class whose instances are awaited with each exchange."""

    def prepare(self, tools: HttpTools) -> "PythonHttpFiltering":
        """Import and make the filter; raises ValueError."""
        made = prepared(self.make(tools.worker.import_path), tools)
        return PythonHttpFiltering(self.filter, cast("Filter[Exchange]", made), tools.worker.sweep)


class PythonHttpFiltering:
    """A `python` filter in service: its failures are its exchange's alone."""

    def __init__(self, name: str, made: Filter[Exchange], sweep: Sweep) -> None:
        self.name = name
        self._filter = made
        self._sweep = sweep

    async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None:
        """Call the filter; cancels it where the client leaves unanswered."""
        with Presence(exchange, self._sweep):
            try:
                await self._filter(exchange, forward)
            except Exception:
                if not exchange.complete:
                    raise
                log.exception("%s failed after the response", self.name)
            finally:
                await exchange.close_bodies()
