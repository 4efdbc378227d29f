"""`python`: an HTTP filter of one's own."""

from typing import cast

import attrs

from trioproxy.filters.chain import Filter
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.http.tools import HttpTools
from trioproxy.filters.imported import Imported
from trioproxy.filters.tools import prepared


@attrs.frozen
class PythonHttpFilter(Imported):
    """An HTTP filter of one's own: a class whose instances are awaited with each exchange.

    Where its client leaves before it is answered, the call is cancelled.
    """

    def prepare(self, tools: HttpTools) -> Filter[Exchange]:
        """Import and make the filter; raises ValueError."""
        made = prepared(self.make(tools.worker.import_path), tools)
        return cast("Filter[Exchange]", made)
