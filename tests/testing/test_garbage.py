"""A connection that is over is gone, without a collector: one that looks for it stops the loop."""

from __future__ import annotations

import gc
import socket
from typing import TYPE_CHECKING

import pytest
import trio
from dialogue import RESET_ON_CLOSE
from secure import terms
from trio.testing import wait_all_tasks_blocked

from trioproxy.drain.lifetime import Cause
from trioproxy.testing import open_proxy, open_upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certificates import Authority
    from trio.testing import MockClock

CONFIG = """
listeners:
- name: web
  address: 127.0.0.1:80
  filters:
  - http_connection_manager:
      stat_prefix: web
      upgrades: [websocket]
      routes:
      - {match: {prefix: /up}, route: {cluster: up}}
      - {match: {prefix: /}, direct_response: {status: 204}}
- name: lines
  address: 127.0.0.1:81
  filters: [{tcp_proxy: {stat_prefix: lines, cluster: up}}]
- name: secure
  address: 127.0.0.1:82
  $terms
  filters:
  - http_connection_manager:
      stat_prefix: secure
      routes: [{match: {prefix: /}, direct_response: {status: 204}}]
clusters: [{name: up, endpoints: [127.0.0.1:1]}]
"""
ASK = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
UPGRADE = b"GET /up HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


def http2(path: bytes) -> bytes:
    """Return what a client of HTTP/2 begins with."""
    head = b"\x82\x86\x01\x01a\x04%c%b" % (len(path), path)  # GET, http, :authority a, :path
    settings = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    headers = len(head).to_bytes(3, "big") + bytes([1, 5, 0, 0, 0, 1]) + head
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + headers


OPENINGS = {
    "idle": ("web", ASK),
    "forwarded": ("web", ASK.replace(b"/", b"/up", 1)),
    "unanswered": ("web", ASK.replace(b"/", b"/up/silent", 1)),
    "malformed": ("web", b"nonsense\r\n\r\n"),
    "upgraded": ("web", UPGRADE),
    "http2": ("web", http2(b"/")),
    "http2 forwarded": ("web", http2(b"/up")),
    "http2 unanswered": ("web", http2(b"/up/silent")),
    "tcp": ("lines", b"hello"),
    "tls": ("secure", ASK),
}


async def answer(stream: trio.SocketStream) -> None:
    said = bytes(await stream.receive_some())
    if b"silent" not in said:
        await stream.send_all(SWITCHED if b"upgrade" in said else ANSWER)
    async for _ in stream:
        pass


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is collected meanwhile, and what would be is kept to be looked at."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


@pytest.mark.parametrize("end", ["closes", "resets", "is ended"])
@pytest.mark.parametrize("opening", OPENINGS)
async def test_it_leaves_no_garbage(
    autojump_clock: MockClock, authority: Authority, uncollected: None, opening: str, end: str
) -> None:
    listener, said = OPENINGS[opening]
    config = CONFIG.replace("$terms", terms(authority.issue("example.org")))
    async with open_upstream(answer) as port, open_proxy(config, {"up": port}) as proxy:
        serving, client = proxy.serving, await proxy.connect(listener)
        talk: trio.abc.Stream = client
        if opening == "tls":
            talk = trio.SSLStream(client, authority.client(), server_hostname="example.org")
        await talk.send_all(said)
        await wait_all_tasks_blocked()
        gc.collect()
        gc.garbage.clear()
        if end == "is ended":
            serving.drain(Cause.SHUTDOWN, 10.0, time=0.0)
        else:
            if end == "resets":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            await (client if end == "resets" else talk).aclose()
        await trio.sleep(20)
        assert serving.connections == 0
        gc.collect()
        kinds = {type(each) for each in gc.garbage}
    assert not {each.__name__ for each in kinds if each.__module__.startswith("trioproxy.")}
