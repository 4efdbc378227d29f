"""Counts what costs us and means nothing: a peer that sends too much of it is sent away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.codec.h2.errors import ConnectionFailure
from trioproxy.codec.h2.events import ErrorCode

if TYPE_CHECKING:
    from trioproxy.codec.h2.limits import Limits

UPDATES_PER_DATA = 10  # WINDOW_UPDATE frames that one DATA frame of ours may bring about


class Floods:
    """Counters of one connection; each method counts one, and raises ConnectionFailure."""

    __slots__ = (
        "_empties",
        "_idles",
        "_limits",
        "_pings",
        "_resets",
        "_settings",
        "_updates",
        "data_frames_sent",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.relax()

    def relax(self) -> None:
        """Count anew."""
        self._empties = self._idles = self._pings = 0
        self._resets = self._settings = self._updates = 0
        self.data_frames_sent = 0

    def reset(self) -> None:
        """A stream was reset, by the peer or because of what it sent."""
        self._resets += 1
        if self._resets > self._limits.max_resets:
            raise _flood("max_resets")

    def ping(self) -> None:
        """A PING, or an answer to one."""
        self._pings += 1
        if self._pings > self._limits.max_ping_frames:
            raise _flood("max_ping_frames")

    def settings(self) -> None:
        """SETTINGS, or their acknowledgement."""
        self._settings += 1
        if self._settings > self._limits.max_settings_frames:
            raise _flood("max_settings_frames")

    def empty(self) -> None:
        """A frame that carries nothing."""
        self._empties += 1
        if self._empties > self._limits.max_empty_frames:
            raise _flood("max_empty_frames")

    def idle(self) -> None:
        """A frame that is not heeded."""
        self._idles += 1
        if self._idles > self._limits.max_idle_frames:
            raise _flood("max_idle_frames")

    def window_update(self) -> None:
        """A WINDOW_UPDATE."""
        self._updates += 1
        allowed = self._limits.max_window_update_frames
        if self._updates > allowed + UPDATES_PER_DATA * self.data_frames_sent:
            raise _flood("max_window_update_frames")


def _flood(limit: str) -> ConnectionFailure:
    return ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, "too many frames to no end", limit)
