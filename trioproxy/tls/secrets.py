"""What a worker's TLS has in common: files that are looked after, and a bound on computing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs
import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.tls.keyring import Keyring

log = logging.getLogger("trioproxy.tls")

LOOK = 2.0
"""Seconds between two looks at the files."""

AT_ONCE = 2
"""Handshakes that are computed in one pass of the loop, so that requests come in between."""


def turnstile() -> trio.Semaphore:
    """Return what the computations of a worker's handshakes pass through, in the order they come.

    Waiting for a peer is not among them: who is slow holds up nobody.
    """
    return trio.Semaphore(AT_ONCE)


@attrs.frozen
class Secret:
    """A keyring, whose it is, and whom to tell that it was loaded anew, or that it was not."""

    keyring: Keyring
    owner: str
    loaded: Callable[[], object]
    failed: Callable[[], object]


class Secrets:
    """Every keyring of a worker."""

    def __init__(self) -> None:
        self._secrets: list[Secret] = []

    def __repr__(self) -> str:
        return f"<Secrets of {len(self._secrets)}>"

    def add(self, secret: Secret) -> None:
        """Look after a keyring from now on."""
        self._secrets.append(secret)

    async def watch(self) -> None:
        """Load what has changed, until cancelled."""
        while self._secrets:
            self.look()  # a worker that replaces another begins with what was there at the start
            await trio.sleep(LOOK)

    def look(self) -> None:
        """Load what has changed; what will not do is told of, and changes nothing."""
        for secret in self._secrets:
            try:
                changed = secret.keyring.refresh()
            except ValueError as error:
                log.error("%s: the certificates before stay in use: %s", secret.owner, error)
                secret.failed()
            else:
                if changed:
                    log.info("%s: certificates were loaded anew", secret.owner)
                    secret.loaded()
