"""`python`: a network filter of one's own."""

from typing import cast

import attrs

from trioproxy.errors import ProxyError
from trioproxy.filters.chain import Filter, Forward
from trioproxy.filters.connection import Connection
from trioproxy.filters.imported import Imported
from trioproxy.filters.tools import Tools, prepared


@attrs.frozen
class PythonNetworkFilter(Imported):
    """A network filter of one's own: a class whose instances are awaited with each connection."""

    def prepare(self, tools: Tools) -> "PythonNetworkFiltering":
        """Import and make the filter; raises ValueError."""
        made = prepared(self.make(tools.import_path), tools)
        return PythonNetworkFiltering(cast("Filter[Connection]", made))


class PythonNetworkFiltering:
    """A `python` filter in service."""

    def __init__(self, made: Filter[Connection]) -> None:
        self._filter = made

    async def __call__(self, connection: Connection, forward: Forward[Connection]) -> None:
        """Call the filter; raises OSError where a connection broke in a nursery of the filter's."""
        try:
            await self._filter(connection, forward)
        except ExceptionGroup as group:
            broken, failed = group.split((OSError, ProxyError))
            if failed is not None:
                raise
            raise ConnectionError(str(broken)) from group
