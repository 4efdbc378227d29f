"""What can be wrong with a message: with one that came, or with one about to be sent."""

from __future__ import annotations


class MalformedMessage(Exception):
    """The peer's message breaks the protocol; nothing more on its connection can be trusted.

    `detail` says what is wrong without quoting values, `status` is the answer that a client
    deserves (400, 417, 431, 501, 505).
    """

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class TruncatedMessage(MalformedMessage):
    """The peer closed in the middle of a body."""


class UnsafeMessage(ValueError):
    """A message made or edited here cannot be sent: it would read as another one."""
