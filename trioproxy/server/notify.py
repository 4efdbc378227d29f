"""Telling whoever started us how we are, by the protocol of sd_notify."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("trioproxy.main")


class Notifier:
    """Sends datagrams to the socket that `NOTIFY_SOCKET` names; without one, to nobody."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        self._name = f"\0{name[1:]}" if name.startswith("@") else name

    def tell(self, **facts: object) -> None:
        """Say all of it in one datagram; who does not listen misses it."""
        if not self._name:
            return
        text = "\n".join(f"{name}={fact}" for name, fact in facts.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                sock.sendto(text.encode(), self._name)
            except OSError as error:
                log.warning("cannot notify %s: %s", self._name.replace("\0", "@"), error)
