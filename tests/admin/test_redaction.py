"""What sounds like a secret is not shown."""

from __future__ import annotations

import pytest

from trioproxy.admin.redaction import redacted


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_passwd",
        "client_secret",
        "Authorization",
        "proxy-authorization",
        "x-api-key",
        "private_key",
        "token",
        "auth-tokens",
        "set-cookie",
        "aws_access_key_id",
        "credentials",
    ],
)
def test_a_secret_is_out(name: str) -> None:
    assert redacted({name: "x"}) == {name: "[redacted]"}
    assert redacted({name: ["x", {"of": "y"}]}) == {name: ["[redacted]", {"of": "[redacted]"}]}
    beside = {"name": name, "exact": "x", "invert": False}
    assert redacted([beside]) == [{"name": name, "exact": "[redacted]", "invert": False}]


@pytest.mark.parametrize("name", ["tokens_per_second", "key", "certificate", "name", "path"])
def test_what_is_none_stays(name: str) -> None:
    assert redacted({name: "x"}) == {name: "x"}


def test_of_what_a_filter_is_made_with_only_names_and_facts_are_shown() -> None:
    """Its author knows what is a secret; here it is even the key of a mapping."""
    config = {"keys": {"key-of-alice": "alice"}, "words": ["x"], "url": "a://b:c@d", "limit": 5}
    assert redacted({"python": {"filter": "gate:Gate", "config": {**config, "on": True}}}) == {
        "python": {
            "filter": "gate:Gate",
            "config": {
                "keys": "[redacted]",
                "words": "[redacted]",
                "url": "[redacted]",
                "limit": 5,
                "on": True,
            },
        }
    }


def test_numbers_and_truths_stay() -> None:
    assert redacted({"token": 5, "cookie": None}) == {"token": 5, "cookie": None}
