"""A proxy that loses connections: it spoils what it relays, and takes over as rudely as can be.

As a program it is a generation: `lossy.py CONFIG WORKERS --restart-epoch N`. The configuration is
the ports to listen on, those of the origin, and the generation's number. It binds beside the old
one, ends it at once, and is ready. Without workers it finds its configuration wrong.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from soak.origin import accept, answer
from soak.peer import HOST, Peer, Trouble
from soak.secure import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence


@contextlib.asynccontextmanager
async def listening(handle: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[int]:
    """Serve each connection by `handle`, then close it; yields the port."""
    listener = socket.create_server((HOST, 0))
    listener.setblocking(False)
    with listener:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept, listener, handle)
            yield listener.getsockname()[1]
            nursery.cancel_scope.cancel()


async def relay(
    peer: Peer,
    port: int,
    spoil: Callable[[bytes], bytes] = bytes,
    first: bytes = b"",
    forth: Callable[[bytes], bytes] = bytes,
) -> None:
    """Pass everything to the port through `forth`, and what comes back through `spoil`."""
    with await connect(port) as origin:
        await origin.send_all(first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump, peer, origin, forth, nursery.cancel_scope)
            nursery.start_soon(pump, origin, peer, spoil, nursery.cancel_scope)


async def pump(
    source: Peer, sink: Peer, spoil: Callable[[bytes], bytes], both: trio.CancelScope
) -> None:
    """Move bytes one way, and pass their end on; trouble is the end of both ways."""
    try:
        while True:
            await sink.send_all(spoil(await source.receive()))
    except Trouble as trouble:
        if str(trouble) == "EOF":
            sink.finish()
        else:
            both.cancel()


async def serve(peer: Peer, port: int, generation: bytes) -> None:
    """Tell who asks which generation this is; relay the others."""
    first = await peer.receive()
    if first.startswith(b"GET /generation "):
        await peer.send_all(answer(generation))
        return
    await relay(peer, port, first=first)


def take_over() -> None:
    """End the old generation and tell that this one is ready."""
    note = Path("pid")
    if note.exists():
        os.kill(int(note.read_text()), signal.SIGTERM)
    note.write_text(str(os.getpid()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0"))


async def main(words: Sequence[str]) -> None:
    """Be a generation."""
    http, echo, origin_http, origin_echo = map(int, words[:4])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    async with trio.open_nursery() as nursery:
        for port, handle in (
            (http, partial(serve, port=origin_http, generation=words[4].encode())),
            (echo, partial(relay, port=origin_echo)),
        ):
            listener = socket.create_server((HOST, port), reuse_port=True)
            listener.setblocking(False)
            nursery.start_soon(accept, listener, handle)
        take_over()


if __name__ == "__main__":
    if sys.argv[2] == "0":
        sys.exit(1)
    if "validate" not in sys.argv:
        trio.run(main, Path(sys.argv[1]).read_text().split())
