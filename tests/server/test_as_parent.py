from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

import attrs
import pytest

from trioproxy.config.server import Config
from trioproxy.restart.channel import Channel, PeerGone, channel_pair
from trioproxy.restart.protocol import TO_CHILD, Hello
from trioproxy.server.as_parent import AsParent
from trioproxy.stats.layout import LAYOUT_VERSION

if TYPE_CHECKING:
    import trio

    from trioproxy.server.generation import Generation


@attrs.frozen
class Broken:
    """A generation with a bug."""

    epoch: int = 0
    config: Config = attrs.field(factory=Config)

    @property
    def uptime_all_epochs(self) -> float:
        raise RuntimeError("a bug")


async def test_a_session_that_fails_costs_itself_alone(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    ours, theirs = channel_pair()
    with Channel(theirs, TO_CHILD) as child:
        parent = AsParent(cast("Generation", Broken()), nursery)
        nursery.start_soon(parent.attend, ours)
        await child.send(Hello(1, 1.0, LAYOUT_VERSION))
        with pytest.raises(PeerGone):
            await child.receive()
    assert caplog.messages == ["a session with a next generation failed"]
