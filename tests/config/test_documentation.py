from __future__ import annotations

import re
from pathlib import Path

from trioproxy.config.loader import load
from trioproxy.filters.registry import REGISTRY

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_example_of_the_page_is_sound() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    config = load(None, example, REGISTRY).config
    assert [listener.name for listener in config.listeners] == ["web", "db"]
