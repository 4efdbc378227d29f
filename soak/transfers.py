"""Downloads and uploads that take so long that a restart falls into them; every byte is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from soak.clients import PATIENCE, patient_connect
from soak.ledger import Kind, Outcome
from soak.messages import body_of, chunk
from soak.origin import INTACT
from soak.pattern import Track, stretch
from soak.peer import Peer, Trouble, Wrong

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from soak.ledger import Ledger

DOWNLOAD_BYTES = 4 * 1024 * 1024
UPLOAD_BYTES = 1024 * 1024
UPLOAD_PIECES = 100


@attrs.frozen
class Transfers:
    """Both directions, each once with a length and once in chunks, spread over some seconds."""

    port: int
    ledger: Ledger
    seconds: float

    async def run(self) -> None:
        """Carry out all of them at once."""
        async with trio.open_nursery() as nursery:
            for chunked in (False, True):
                nursery.start_soon(self.transfer, Kind.DOWNLOAD, self.download, chunked)
                nursery.start_soon(self.transfer, Kind.UPLOAD, self.upload, chunked)

    async def transfer(
        self, kind: Kind, carry: Callable[[Peer, bool], Awaitable[None]], chunked: bool
    ) -> None:
        """Note what becomes of one transfer."""
        began = self.ledger.now()
        try:
            with await patient_connect(self.port) as peer, trio.fail_after(self.seconds + PATIENCE):
                await carry(peer, chunked)
        except (Trouble, trio.TooSlowError) as trouble:
            self.ledger.note(kind, Outcome.FAILED, f"{type(trouble).__name__}: {trouble}")
        else:
            self.ledger.answered(kind, began)

    async def download(self, peer: Peer, chunked: bool) -> None:
        """Receive a body that the origin sends slowly; raises Trouble."""
        form = b"chunked" if chunked else b"sized"
        target = b"/download/%d/%g/%b" % (DOWNLOAD_BYTES, self.seconds, form)
        await peer.send_all(b"GET %b HTTP/1.1\r\nHost: soak\r\n\r\n" % target)
        head = await peer.head()
        if head.status != 200:
            raise Wrong(f"status {head.status}")
        body, track = body_of(head), Track()
        while not body.done:
            if not track.follow(await peer.payload(body)):
                raise Wrong(f"wrong bytes after {track.position}")
        if track.position != DOWNLOAD_BYTES:
            raise Wrong(f"{track.position} of {DOWNLOAD_BYTES} bytes")

    async def upload(self, peer: Peer, chunked: bool) -> None:
        """Send a body slowly and let the origin judge it; raises Trouble."""
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % UPLOAD_BYTES
        await peer.send_all(b"POST /upload HTTP/1.1\r\nHost: soak\r\n%b\r\n\r\n" % framing)
        began, position = trio.current_time(), 0
        while position < UPLOAD_BYTES:
            await trio.sleep_until(began + self.seconds * position / UPLOAD_BYTES)
            piece = stretch(position, min(UPLOAD_BYTES // UPLOAD_PIECES, UPLOAD_BYTES - position))
            await peer.send_all(chunk(piece) if chunked else piece)
            position += len(piece)
        if chunked:
            await peer.send_all(chunk(b""))
        head = await peer.head()
        told = await peer.whole_body(head)
        if head.status != 200 or told != b"%d %b" % (UPLOAD_BYTES, INTACT):
            raise Wrong(f"{head.status}: {told[:80]!r}")
