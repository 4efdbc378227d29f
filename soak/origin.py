"""The origin behind the proxy, a process of its own: answers, long transfers, echoes.

`python -m soak.origin` prints the ports for HTTP and for echoes and serves until its standard input
ends, so that it never outlives who started it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
from functools import partial
from typing import TYPE_CHECKING

import trio

from soak.frames import ACCEPT, Frames, frame
from soak.messages import body_of, chunk
from soak.pattern import Track, stretch
from soak.peer import HOST, Peer, Trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from soak.messages import Head

SMALL_BODY = b"hello, world\n"
DOWNLOAD_PIECES = 200
INTACT = b"intact"
LISTENING, TALKING = b"from now on I only listen\n", b"from now on I only talk\n"
RECITED_BYTES = 64
RECITED_GAP = 0.05  # seconds


def answer(body: bytes) -> bytes:
    """Frame a whole 200 response."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def serve_http(peer: Peer) -> None:
    """Answer requests on one connection until it ends."""
    while True:
        head = await peer.head()
        match head.path.split("/")[1:]:
            case ["download", size, seconds, form]:
                await download(peer, int(size), float(seconds), chunked=form == "chunked")
            case ["upload"]:
                await peer.send_all(answer(await judge_upload(peer, head)))
            case ["websocket"]:
                await echo_frames(peer)
            case _:
                await peer.send_all(answer(await peer.whole_body(head) or SMALL_BODY))


async def download(peer: Peer, size: int, seconds: float, *, chunked: bool) -> None:
    """Send `size` bytes of the pattern in equal pieces, spread over some time."""
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    await peer.send_all(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing)
    began, position = trio.current_time(), 0
    while position < size:
        await trio.sleep_until(began + seconds * position / size)
        piece = stretch(position, min(max(1, size // DOWNLOAD_PIECES), size - position))
        await peer.send_all(chunk(piece) if chunked else piece)
        position += len(piece)
    if chunked:
        await peer.send_all(chunk(b""))


async def judge_upload(peer: Peer, head: Head) -> bytes:
    """Read a body to its end; says how long it was, and whether it was the pattern."""
    body, track, intact = body_of(head), Track(), True
    while not body.done:
        intact = track.follow(await peer.payload(body)) and intact
    return b"%d %b" % (track.position, INTACT if intact else b"broken")


async def echo_frames(peer: Peer) -> None:
    """Accept an upgrade and send every message back; a close frame too."""
    await peer.send_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % ACCEPT
    )
    frames = Frames()
    while True:
        for opcode, payload in frames.feed(await peer.receive()):
            await peer.send_all(frame(payload, opcode, masked=False))


async def echo(peer: Peer) -> None:
    """Send every byte back, unless the first ones say that only one side is to talk."""
    first = await peer.receive()
    if first == LISTENING:
        await recite(peer)
    elif first == TALKING:
        peer.finish()
        await hear(peer)
    else:
        await peer.send_all(first)
        while True:
            await peer.send_all(await peer.receive())


async def recite(peer: Peer) -> None:
    """Send the pattern to somebody who says no more."""
    for position in itertools.count(0, RECITED_BYTES):
        await peer.send_all(stretch(position, RECITED_BYTES))
        await trio.sleep(RECITED_GAP)


async def hear(peer: Peer) -> None:
    """Hear the pattern from somebody who is told nothing; hang up where it goes wrong."""
    track = Track()
    while track.follow(await peer.receive()):
        pass


async def accept(listener: socket.socket, handle: Callable[[Peer], Awaitable[None]]) -> None:
    """Serve each connection in a task of its own."""

    async def serve(sock: socket.socket) -> None:
        with Peer(sock) as peer, contextlib.suppress(Trouble):
            await handle(peer)

    async with trio.open_nursery() as connections:
        while True:
            await trio.lowlevel.wait_readable(listener)
            with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                sock, _ = listener.accept()
                sock.setblocking(False)
                connections.start_soon(serve, sock)


async def main() -> None:
    """Serve HTTP and echoes until standard input ends."""
    listeners = [socket.create_server((HOST, 0), backlog=4096) for _ in range(2)]
    for listener in listeners:
        listener.setblocking(False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(accept, listeners[0], serve_http))
        nursery.start_soon(partial(accept, listeners[1], echo))
        print(json.dumps([listener.getsockname()[1] for listener in listeners]), flush=True)
        await trio.lowlevel.wait_readable(0)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
