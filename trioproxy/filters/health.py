"""Whether this server is to be sent traffic, as its operator says."""

from __future__ import annotations


class Health:
    """One per worker; `failed` is set and cleared by what the admin interface tells main."""

    __slots__ = ("failed",)

    def __init__(self) -> None:
        self.failed = False

    def __repr__(self) -> str:
        return f"<Health {'failed' if self.failed else 'ok'}>"
