"""A health check over TCP: that a connection can be made, or also what is said over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.clusters.probe import CheckFailed, Failure, HungUp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio.abc import Stream

    from trioproxy.config.health_check import TcpCheck

MOST = 64 * 1024  # bytes in which the answer has to be found


class TcpDialogue:
    """Sends bytes, and waits for others to come."""

    def __init__(self, check: TcpCheck) -> None:
        self._send = check.send.data if check.send is not None else b""
        self._receive = [payload.data for payload in check.receive]

    async def __call__(self, stream: Stream) -> bool:
        """Return whether the connection can be used again; raises CheckFailed."""
        if self._send:
            await stream.send_all(self._send)
        if not self._receive:
            return False
        heard = b""
        while not in_order(self._receive, heard):
            data = await stream.receive_some()
            if not data:
                raise ended(heard)
            heard += data
            if len(heard) > MOST:
                raise CheckFailed(Failure.NETWORK, "not what is expected, and too much of it")
        return True


def ended(heard: bytes) -> CheckFailed:
    """Return what it means that the host closed the connection."""
    return CheckFailed(Failure.NETWORK, "closed before its answer was whole") if heard else HungUp()


def in_order(wanted: Sequence[bytes], heard: bytes) -> bool:
    """Say whether each of `wanted` has been heard, one behind the other."""
    place = 0
    for each in wanted:
        found = heard.find(each, place)
        if found < 0:
            return False
        place = found + len(each)
    return True
