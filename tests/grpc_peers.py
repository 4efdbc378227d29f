"""A gRPC service and its callers, by the implementation that most people use (grpcio).

Messages are bytes as they are. A call runs in a thread: `await calling(partial(call, ...))`.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import grpc
import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
SERVICE = "shop.Orders"


def unary(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Say it back; the metadata, too."""
    context.set_trailing_metadata((("x-seen", dict(context.invocation_metadata()).get("x-a", "")),))
    return b"said " + request


def fail(_request: bytes, context: grpc.ServicerContext) -> bytes:
    """Fail before there is anything to answer: a response of trailers only."""
    context.abort(grpc.StatusCode.NOT_FOUND, "no such order: 100 %")


def sleep(_request: bytes, context: grpc.ServicerContext) -> bytes:
    """Answer late, unless the caller has given up."""
    while context.is_active():
        time.sleep(0.01)
    return b"late"


def count(request: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
    """Answer with so many messages."""
    return (str(number).encode() * 1000 for number in range(int(request)))


def add(requests: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
    """Answer with the sum of all messages."""
    return str(sum(map(int, requests))).encode()


def chat(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
    """Answer each message as it comes."""
    return (request.upper() for request in requests)


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Add": grpc.stream_unary_rpc_method_handler(add),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
}


@contextmanager
def service() -> Iterator[int]:
    """Run the service; yields its port."""
    with ThreadPoolExecutor(8) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, METHODS),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()


@contextmanager
def channel(port: int) -> Iterator[grpc.Channel]:
    """Open a channel to a port of this machine."""
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as made:
        yield made


async def calling(call: Callable[[], T]) -> T:
    """Make a call, in a thread."""
    with trio.fail_after(10):
        return await trio.to_thread.run_sync(call)


def method(made: grpc.Channel, kind: str, name: str) -> Callable[..., object]:
    """Return a method of the service: `kind` is unary_unary and so on."""
    return getattr(made, kind)(f"/{SERVICE}/{name}")


def failed(call: Callable[[], object]) -> grpc.RpcError:
    """Make a call that must fail; returns how it did."""
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call did not fail")
