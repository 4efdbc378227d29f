"""Compiles the data plane into the wheel with mypyc, where TRIOPROXY_COMPILE=1 asks for it.

pyproject.toml says what is compiled. The sources stay in the wheel beside it: of two modules with
the same name Python takes the compiled one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "TRIOPROXY_COMPILE"
ATTRS = re.compile(r"^import attrs$", re.MULTILINE)


class CompileHook(BuildHookInterface):
    """hatchling's hook for the wheel; an editable installation is never compiled."""

    def dependencies(self) -> list[str]:
        """Name what the build needs: the compiler, and the packages whose types it reads."""
        return [*self.config["requires"], *self.metadata.core.dependencies] if wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have what comes of it included where its source is."""
        if version == "editable" or not wanted():
            return
        check_compiler()
        self.scratch = Path(tempfile.mkdtemp(prefix="trioproxy-compile-"))
        sources = modules(Path(self.root), self.config["compiled"], self.config["plain"])
        with contextlib.chdir(self.root):
            built = compile_modules(sources, self.scratch)
        for path in built.rglob("*.so"):
            build_data["force_include"][str(path)] = str(path.relative_to(built))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """Remove what the wheel has by now."""
        if hasattr(self, "scratch"):
            shutil.rmtree(self.scratch)


def wanted() -> bool:
    """Whether this build is to be compiled."""
    return os.environ.get(SWITCH) == "1"


def check_compiler() -> None:
    """Raise RuntimeError that says what to install where no C program could be built."""
    missing = []
    if not shutil.which("gcc"):
        missing.append("gcc")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append(f"python{sysconfig.get_python_version()}-dev")
    if missing:
        raise RuntimeError(
            f"{SWITCH}=1 needs a C compiler and Python's headers; on Debian: "
            f"apt-get install {' '.join(missing)}"
        )


def modules(root: Path, compiled: list[str], plain: dict[str, list[str]]) -> list[str]:
    """Return the files that `compiled` names and `plain`, globs by reason, does not.

    Left out too are modules with attrs classes: mypyc does not know their generated methods.
    Raises ValueError for a glob that fits nothing, as what it meant has moved.
    """
    spared = {path for globs in plain.values() for path in files(root, globs)}
    chosen = files(root, compiled) - spared
    return sorted(name for name in chosen if not ATTRS.search((root / name).read_text()))


def files(root: Path, globs: list[str]) -> set[str]:
    """Return the modules that fit, relative to the root; `__init__` has no code."""
    found: set[str] = set()
    for glob in globs:
        paths = [path for path in root.glob(glob) if path.name != "__init__.py"]
        if not paths:
            raise ValueError(f"pyproject.toml names {glob}, and there is no such module")
        found |= {str(path.relative_to(root)) for path in paths}
    return found


def compile_modules(sources: list[str], scratch: Path) -> Path:
    """Compile; returns the directory of the extension modules."""
    # mypyc looks at its import which of setuptools and distutils is loaded.
    from setuptools import Distribution

    # isort: split
    from mypyc.build import mypycify

    extensions = mypycify(
        ["--cache-dir", str(scratch / "cache"), *sources],
        opt_level="2",
        debug_level="0",
        multi_file=True,
        group_name="trioproxy",
        target_dir=str(scratch),
    )
    build = Distribution({"name": "trioproxy", "ext_modules": extensions}).get_command_obj(
        "build_ext"
    )
    build.build_lib, build.build_temp = str(scratch / "lib"), str(scratch / "objects")
    build.ensure_finalized()
    build.run()
    return scratch / "lib"
