from __future__ import annotations

import pytest
import trio

from soak.ledger import Ledger


@pytest.fixture
async def ledger() -> Ledger:
    """Nothing seen yet."""
    return Ledger(trio.current_time)
