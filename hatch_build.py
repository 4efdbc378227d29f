"""Compiles the data plane into the wheel with mypyc, if TRIOPROXY_COMPILE is set; else does nothing.

What is compiled stands in pyproject.toml. The sources stay in the wheel beside it: Python prefers
the compiled module of the two, and tracebacks show the source.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "TRIOPROXY_COMPILE"


class CompileHook(BuildHookInterface):
    """hatchling's build hook for the wheel; an editable installation is never compiled."""

    def dependencies(self) -> list[str]:
        """What the build needs: the compiler, and the packages whose types it reads."""
        if not os.environ.get(SWITCH):
            return []
        return [*self.config["requires"], *self.metadata.core.dependencies]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have what comes of it included where its source is."""
        if version == "editable" or not os.environ.get(SWITCH):
            return
        self.scratch = Path(tempfile.mkdtemp(prefix="trioproxy-compile-"))
        with contextlib.chdir(self.root):
            compiled = compile_modules(self.config["modules"], self.config["options"], self.scratch)
        for path in compiled.rglob("*.so"):
            build_data["force_include"][str(path)] = str(path.relative_to(compiled))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """Remove what the wheel has by now."""
        if hasattr(self, "scratch"):
            shutil.rmtree(self.scratch)


def compile_modules(
    modules: dict[str, list[str]], options: dict[str, Any], scratch: Path
) -> Path:
    """Compile the named modules of each folder; returns where the extension modules are."""
    # setuptools goes first: mypyc looks which of it and distutils is there.
    from setuptools import Distribution

    # isort: split
    from mypyc.build import mypycify

    sources = [f"{folder}/{name}.py" for folder, names in modules.items() for name in names]
    extensions = mypycify(
        ["--cache-dir", str(scratch / "cache"), *sources], target_dir=str(scratch), **options
    )
    build = Distribution({"name": "trioproxy", "ext_modules": extensions}).get_command_obj(
        "build_ext"
    )
    build.build_lib, build.build_temp = str(scratch / "lib"), str(scratch / "objects")
    build.ensure_finalized()
    build.run()
    return scratch / "lib"
