from __future__ import annotations

import runpy
import sys
from io import StringIO
from typing import TYPE_CHECKING

import yaml

from trioproxy.config import composer

if TYPE_CHECKING:
    import pytest


def test_without_libyaml_the_same_is_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert yaml.parser.Parser not in composer.Composer.__mro__
    monkeypatch.setitem(sys.modules, "yaml._yaml", None)
    pure = runpy.run_path(composer.__file__)["Composer"]
    assert yaml.parser.Parser in pure.__mro__
    text = "{a: [1, 'x', &y true], b: {c: *y}}"
    expected = composer.Composer(StringIO(text)).get_single_node()
    assert repr(pure(StringIO(text)).get_single_node()) == repr(expected)
