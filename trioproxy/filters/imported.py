"""Filters of one's own: named by module and class in the configuration, imported and made here."""

import inspect
import sys
import sysconfig
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial, reduce
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, ClassVar

import attrs

from trioproxy.config.marks import Matching
from trioproxy.config.problems import guess

Made = Callable[..., Awaitable[None]]
"""A filter, as far as can be told from outside; or an object whose `prepare(tools)` returns it."""


@attrs.frozen
class Imported:
    """A filter of one's own, a Python class or coroutine function."""

    short: ClassVar[str] = "filter"

    filter: Annotated[
        str,
        Matching(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*", "package.module:Class"),
        "Where it is: `package.module:Class`",
    ]
    config: Annotated[Mapping[str, object], "What the class is made with, by keyword"] = (
        attrs.Factory(dict)
    )

    def verify(self) -> None:
        """Import the filter and make one; raises ValueError saying what stands in the way."""
        self.make()

    def make(self, import_path: Sequence[Path] = ()) -> Made:
        """Return a filter, imported from `import_path` before all else; raises as `verify`."""
        sys.path[:0] = [each for each in map(str, import_path) if each not in sys.path]
        module, _, name = self.filter.partition(":")
        found = find(import_module_named(module), name)
        if inspect.isclass(found):
            check_call(found, self.filter)
            check_arguments(found, self.config, self.filter)
            return construct(found, self.config, self.filter)
        if not inspect.iscoroutinefunction(found):
            raise ValueError(f"{self.filter} is neither a class nor an `async def` function")
        check_arguments(found, self.config, self.filter, behind=2)
        return partial(found, **self.config)


def import_module_named(name: str) -> ModuleType:
    """Import a module; raises ValueError telling a missing one from one that fails."""
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{name}.".startswith(f"{missing.name}."):
            raise ValueError(f"importing {name} failed: {described(missing)}") from missing
        raise ValueError(f"no module {missing.name!r} in {searched()}") from None
    except (Exception, SystemExit) as error:
        raise ValueError(f"importing {name} failed: {described(error)}") from error


def searched() -> str:
    """Say where modules are looked for: what comes before Python's own library, by name."""
    library = sysconfig.get_path("stdlib")
    names = [str(Path(each).absolute()) for each in sys.path]
    end = names.index(library) if library in names else len(names)
    folders = [name for name in names[:end] if Path(name).is_dir()]
    return ", ".join([*folders, "the installed packages"])


def find(module: ModuleType, name: str) -> object:
    """Return what `name`, with dots in it for what is inside, is in the module."""
    try:
        return reduce(getattr, name.split("."), module)
    except AttributeError:
        public = [known for known in vars(module) if not known.startswith("_")]
        raise ValueError(f"{module.__name__} has no {name!r}{guess(name, public)}") from None


def check_call(found: type, where: str) -> None:
    """Refuse a class whose instances are no filters."""
    if hasattr(found, "prepare"):
        return
    call = next(
        (vars(base)["__call__"] for base in found.__mro__ if "__call__" in vars(base)), None
    )
    if call is None:
        raise ValueError(f"{where} has no `async def __call__(self, exchange, forward)`")
    if inspect.isfunction(call) and not inspect.iscoroutinefunction(call):
        raise ValueError(f"{where} has a `__call__` that is not `async def`")


def check_arguments(
    found: Callable[..., object], given: Mapping[str, object], where: str, behind: int = 0
) -> None:
    """Refuse keywords that `found` does not take behind so many others, and say what it needs."""
    parameters = list(inspect.signature(found).parameters.values())[behind:]
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = {each.name: each for each in parameters if each.kind in by_keyword}
    problems = []
    if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        unknown = [name for name in given if name not in known]
        problems = [f"does not take {name!r}{guess(name, known)}" for name in unknown]
    needed = [name for name in known if known[name].default is inspect.Parameter.empty]
    problems += [f"needs {name!r}" for name in needed if name not in given]
    if problems:
        raise ValueError(f"{where} {' and '.join(problems)}")


def construct(found: type, config: Mapping[str, object], where: str) -> Made:
    """Make the filter; raises ValueError showing what its class raised."""
    try:
        made: Made = found(**config)
    except Exception as error:
        raise ValueError(f"{where} cannot be made: {described(error)}") from error
    return made


def described(error: BaseException) -> str:
    """Return an exception in one line, with the place that it comes from."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{kind}: {error.msg} ({error.filename}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if not frame.filename.startswith("<")]
    place = f" ({places[-1].filename}:{places[-1].lineno})" if places else ""
    return f"{kind}: {error}{place}" if str(error) else f"{kind}{place}"
