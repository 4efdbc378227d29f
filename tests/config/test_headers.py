from __future__ import annotations

import pytest

from trioproxy.config.headers import UNCHANGED, HeaderOperations
from trioproxy.config.marks import Invalid


def test_no_operation_is_nothing() -> None:
    assert not UNCHANGED
    assert HeaderOperations(remove=("x",))


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "connection", "Host"])
def test_no_operation_touches_the_framing_of_a_message(name: str) -> None:
    for operations in ({"set": {name: "1"}}, {"add": {name: "1"}}, {"remove": (name,)}):
        with pytest.raises(Invalid, match="frames or addresses the message") as caught:
            HeaderOperations(**operations)  # type: ignore[arg-type]
        assert caught.value.field in operations


@pytest.mark.parametrize(("name", "value"), [("x y", ""), ("x", "a\r\nb: c"), ("", "x")])
def test_no_operation_splits_a_message(name: str, value: str) -> None:
    with pytest.raises(Invalid, match="header field"):
        HeaderOperations(set={name: value})
