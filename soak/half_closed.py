"""TCP sessions of which one side has said all, and the other talks on; every byte in its place."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NoReturn

import attrs
import trio

from soak.clients import PATIENCE
from soak.origin import LISTENING, TALKING
from soak.pattern import Track, stretch
from soak.peer import Ended, Wrong
from soak.sessions import MESSAGE_BYTES, Session

if TYPE_CHECKING:
    from soak.peer import Peer


@attrs.define(eq=False)
class HalfClosed(Session):
    """The client `talks` to somebody who only listens, or the other way round.

    Who listens can say of wrong bytes only by hanging up.
    """

    talks: bool = attrs.field(kw_only=True)

    async def talk(self, peer: Peer) -> NoReturn:
        """Close one half, and go on with the other; raises Trouble."""
        await peer.send_all(TALKING if self.talks else LISTENING)
        if self.talks:
            await self._wait_finished(peer)
        else:
            peer.finish()
        self.serial += 1
        self.standing = True
        await (self._recite(peer) if self.talks else self._listen(peer))

    async def _wait_finished(self, peer: Peer) -> None:
        """Wait until the other side has said all; raises Wrong."""
        with trio.move_on_after(PATIENCE):
            try:
                raise Wrong(f"told {await peer.receive()!r}")
            except Ended:
                return
        raise Wrong("not half-closed")

    async def _recite(self, peer: Peer) -> NoReturn:
        for position in itertools.count(0, MESSAGE_BYTES):
            began = self.ledger.now()
            await peer.send_all(stretch(position, MESSAGE_BYTES))
            self.ledger.answered(self.kind, began)
            await trio.sleep(self.gap)
        raise AssertionError("count() ended")

    async def _listen(self, peer: Peer) -> NoReturn:
        track = Track()
        while True:
            began = self.ledger.now()
            with trio.move_on_after(PATIENCE) as silence:
                if not track.follow(await peer.receive()):
                    raise Wrong(f"wrong bytes after {track.position}")
                self.ledger.answered(self.kind, began)
            if silence.cancelled_caught:
                raise Wrong(f"silent for {PATIENCE:g} s")
