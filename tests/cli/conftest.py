"""The restarter, as a process and as a module."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING

import pytest

from cli.puppets import RESTARTER, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def restarter() -> Iterator[ModuleType]:
    """The file as a module."""
    spec = spec_from_file_location("hot_restarter", RESTARTER)
    assert spec
    assert spec.loader
    module = sys.modules["hot_restarter"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["hot_restarter"]
