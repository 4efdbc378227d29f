"""What a request costs in the HTTP/2 codec alone, beside hyper-h2: `python -m benchmarks.h2_codec`.

The server's side: bytes of requests in, as many as a client has in flight; bytes of responses out.
The client's side the other way round. Needs the packages of `test`.
Installed with TRIOPROXY_COMPILE=1 it measures what is compiled.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack

from trioproxy.codec.h2 import client, frames, server
from trioproxy.codec.h2.codec import Codec
from trioproxy.codec.h2.events import DataReceived, RequestReceived
from trioproxy.codec.h2.limits import Limits
from trioproxy.codec.messages import Request, Response
from trioproxy.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Callable

    Maker = Callable[[], Callable[[bytes], bytes]]

BATCH = 8  # requests in one piece
BATCHES = 1000
ROUNDS = 5

BROWSER = [
    (":method", "GET"),
    (":authority", "www.example.org"),
    (":scheme", "https"),
    (":path", "/"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-US,en;q=0.9"),
    ("cache-control", "no-cache"),
    ("cookie", "session=0123456789abcdef0123456789abcdef"),
]
ANSWER = [
    (b"server", b"origin"),
    (b"date", b"Mon, 23 Nov 2026 12:00:00 GMT"),
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"max-age=60"),
    (b"x-envoy-upstream-service-time", b"1"),
]
BODY = bytes(1024)


def same(number: int) -> list[tuple[str, str]]:
    """The request of a load generator."""
    del number
    return BROWSER


def browsing(number: int) -> list[tuple[str, str]]:
    """A path of its own each time, and a field that nothing can remember."""
    path = (":path", f"/articles/{number}/comments?page={number % 7}")
    return [*BROWSER[:3], path, *BROWSER[4:], ("x-request-id", f"{number:032x}")]


def batches(ask: Callable[[int], list[tuple[str, str]]], payload: bytes) -> list[bytes]:
    """What a client says, after its greeting, in pieces of BATCH requests."""
    encoder = hpack.Encoder()
    pieces, stream_id = [frames.PREFACE + frames.write(frames.SETTINGS, 0, 0)], 1
    for number in range(BATCHES):
        piece = []
        for index in range(BATCH):
            head = encoder.encode(ask(number * BATCH + index))
            piece.append(frames.write_block(stream_id, head, 16384, ended=not payload))
            if payload:
                piece.append(frames.write(frames.DATA, frames.END_STREAM, stream_id, payload))
            stream_id += 2
        increment = BATCH * len(BODY)
        piece.append(frames.write_window_update(0, increment))
        pieces.append(b"".join(piece))
    return pieces


def ours() -> Callable[[bytes], bytes]:
    """A server of this project's."""
    connection = server.ServerConnection(Limits(max_window_update_frames=10**9), Codec())

    def serve(data: bytes) -> bytes:
        for event in connection.receive(data):
            if isinstance(event, DataReceived):
                connection.acknowledge(event.stream_id, len(event.data))
            elif not isinstance(event, RequestReceived):
                continue
            if event.ended:
                response = Response(status=200, headers=Headers(ANSWER), content_length=len(BODY))
                connection.send_response(event.stream_id, response)
                connection.send_data(event.stream_id, BODY, ended=True)
        return connection.data_to_send()

    return serve


def hyper() -> Callable[[bytes], bytes]:
    """A server of hyper-h2's."""
    config = h2.config.H2Configuration(client_side=False, header_encoding=None)
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    answer = [(b":status", b"200"), *ANSWER, (b"content-length", b"%d" % len(BODY))]

    def serve(data: bytes) -> bytes:
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                connection.send_headers(event.stream_id, answer)
                connection.send_data(event.stream_id, BODY, end_stream=True)
        return connection.data_to_send()

    return serve


def answers() -> list[bytes]:
    """What a server says, after its greeting, in pieces of BATCH responses."""
    encoder = hpack.Encoder()
    pieces, stream_id = [frames.write(frames.SETTINGS, 0, 0)], 1
    for _ in range(BATCHES):
        piece = []
        for _ in range(BATCH):
            head = encoder.encode([(b":status", b"200"), *ANSWER])
            piece.append(frames.write_block(stream_id, head, 16384, ended=False))
            piece.append(frames.write(frames.DATA, frames.END_STREAM, stream_id, BODY))
            stream_id += 2
        pieces.append(b"".join(piece))
    return pieces


def our_client() -> Callable[[bytes], bytes]:
    """A client of this project's, that has a batch of requests on the way at all times."""
    connection = client.ClientConnection(Limits(), Codec())
    fields = [(name.encode(), value.encode()) for name, value in BROWSER[4:]]

    def ask() -> None:
        for _ in range(BATCH):
            request = Request(authority="www.example.org", headers=Headers(fields))
            connection.send_request(request, ended=True)

    def serve(data: bytes) -> bytes:
        for event in connection.receive(data):
            if isinstance(event, DataReceived):
                connection.acknowledge(event.stream_id, len(event.data))
        ask()
        return connection.data_to_send()

    return serve


def hyper_client() -> Callable[[bytes], bytes]:
    """A client of hyper-h2's."""
    config = h2.config.H2Configuration(client_side=True, header_encoding=None)
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()

    def serve(data: bytes) -> bytes:
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                size = event.flow_controlled_length
                connection.acknowledge_received_data(size, event.stream_id)
        for _ in range(BATCH):
            stream_id = connection.get_next_available_stream_id()
            connection.send_headers(stream_id, BROWSER, end_stream=True)
        return connection.data_to_send()

    return serve


def measure(serve: Callable[[bytes], bytes], pieces: list[bytes]) -> float:
    """CPU microseconds for each request."""
    start = time.process_time()
    for piece in pieces:
        serve(piece)
    return (time.process_time() - start) * 1e6 / (BATCH * BATCHES)


def main() -> None:
    """Print a table."""
    print(f"compiled: {not server.__file__.endswith('.py')}")
    works: dict[str, tuple[Maker, Maker, list[bytes]]] = {
        "the same GET": (ours, hyper, batches(same, b"")),
        "GET of other paths": (ours, hyper, batches(browsing, b"")),
        "POST of 1 KiB": (ours, hyper, batches(same, BODY)),
        "GET, as a client": (our_client, hyper_client, answers()),
    }
    print(f"{'us/request':20} {'trioproxy':>10} {'hyper-h2':>10}")
    for name, (make_ours, make_theirs, pieces) in works.items():
        mine = statistics.median(measure(make_ours(), pieces) for _ in range(ROUNDS))
        print(f"{name:20} {mine:10.1f} {measure(make_theirs(), pieces):10.1f}")


if __name__ == "__main__":
    main()
