from __future__ import annotations

from pathlib import Path

import pytest

from trioproxy.config.access_log import AccessLog
from trioproxy.config.marks import Invalid

STDOUT = Path("/dev/stdout")


def test_the_form_is_what_the_formatter_takes() -> None:
    assert AccessLog(STDOUT).form == "text"
    assert AccessLog(STDOUT, "%PROTOCOL%").form == "%PROTOCOL%"
    assert AccessLog(STDOUT, "json", {"p": "%PROTOCOL%"}).form == {"p": "%PROTOCOL%"}


@pytest.mark.parametrize(
    ("form", "fields", "field", "reason"),
    [
        ("jsn", None, "format", "expected text, json or a line"),
        ("%NO_SUCH_THING%", None, "format", "NO_SUCH_THING"),
        ("json", {"a": "%NO_SUCH_THING%"}, "fields", "NO_SUCH_THING"),
        ("text", {"a": "%PROTOCOL%"}, "fields", "fields are for `format: json`"),
    ],
)
def test_a_mistake_in_a_format_is_found_with_the_configuration(
    form: str, fields: dict[str, str] | None, field: str, reason: str
) -> None:
    with pytest.raises(Invalid, match=reason) as caught:
        AccessLog(STDOUT, form, fields)
    assert caught.value.field == field
