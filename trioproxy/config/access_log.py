"""What is written about each exchange or connection, and where."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import attrs

from trioproxy.accesslog.format import compile_format
from trioproxy.config.marks import Invalid


@attrs.frozen
class AccessLog:
    """One access log: a line per exchange (HTTP) or per connection (L4)."""

    path: Annotated[Path, "The file, appended to; `/dev/stdout` and `/dev/stderr` are fds 1 and 2"]
    format: Annotated[
        str,
        "`text` (the default line), `json` (an object per line),"
        " or a line of your own with `%OPERATOR%`s",
    ] = "text"
    fields: Annotated[
        Mapping[str, str] | None,
        "With `format: json`: the object's keys, each with text and `%OPERATOR%`s;"
        " without it the default fields",
    ] = None

    def __attrs_post_init__(self) -> None:
        if self.fields is not None and self.format != "json":
            raise Invalid("fields are for `format: json`", "fields")
        if self.format not in {"text", "json"} and "%" not in self.format:
            expected = "expected text, json or a line with %OPERATOR%s"
            raise Invalid(f"{expected}, found {self.format!r}", "format")
        try:
            compile_format(self.form)
        except ValueError as error:
            raise Invalid(str(error), "format" if self.fields is None else "fields") from None

    @property
    def form(self) -> str | Mapping[str, str]:
        """What `accesslog.format` compiles."""
        return self.format if self.fields is None else self.fields
