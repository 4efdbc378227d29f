from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trioproxy.config.loader import load
from trioproxy.config.writer import write_part

if TYPE_CHECKING:
    from trioproxy.config.registry import Registry


def test_what_is_written_is_read_back(good: str, registry: Registry) -> None:
    config = load(None, good, registry).config
    written = json.dumps(write_part(config, registry))
    assert load(None, written, registry).config == config


def test_quantities_are_written_as_people_write_them(good: str, registry: Registry) -> None:
    written = write_part(load(None, good, registry).config, registry)
    assert written["drain"] == {
        "time": "10m",
        "strategy": "gradual",
        "parent_shutdown_time": "15m",
    }
    assert "directory" not in written
