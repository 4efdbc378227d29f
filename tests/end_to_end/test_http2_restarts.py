"""Clients of HTTP/2 and hot restarts of the real proxy: they are told, finish, and lose nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import trio
from dialogue import Peer
from h2_peer import H2Peer
from instances import Instance
from sites import free_port

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
drain: {{time: 1s, parent_shutdown_time: 20s}}
listeners:
- name: web
  address: 127.0.0.1:{web}
  filters:
  - http_connection_manager:
      stat_prefix: web
      routes:
      - {{match: {{prefix: /again}}, route: {{cluster: again, prefix_rewrite: /}}}}
      - {{match: {{prefix: /}}, direct_response: {{status: 204}}}}
clusters:
- {{name: again, protocol: http2, endpoints: [127.0.0.1:{web}]}}
"""
CLIENTS = 6
STREAMS = 4


class Clients:
    """Ask all the time, several things at once, each on one connection after the other."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered = 0
        self.told = 0
        self.enough = False

    async def run(self, path: str) -> None:
        """Ask until there is enough; raises AssertionError where an answer is not right."""
        while not self.enough:
            peer = await Peer.connect(("127.0.0.1", self.port))
            client = await H2Peer.greet(peer)
            while not client.goaways and not self.enough:
                streams = [await client.ask("POST", path, body=b"x") for _ in range(STREAMS)]
                for stream in streams:
                    answer = await client.answer(stream)
                    assert answer.reset is None
                    assert answer.status == 204
                    self.answered += 1
            self.told += bool(client.goaways)
            peer.close()


def serve(directory: Path, epoch: int) -> Instance:
    """Begin a generation; returns when it serves."""
    paths = ["-c", f"{directory}/proxy.yaml", "--socket-path", f"{directory}/c"]
    options = ["--concurrency", "2", "--restart-epoch", str(epoch)]
    generation = Instance([sys.executable, "-m", "trioproxy", *paths, *options])
    generation.wait_serving()
    return generation


@pytest.mark.slow
async def test_nothing_is_lost_over_restarts(tmp_path: Path) -> None:
    """A53, A64"""
    clients = Clients(free_port())
    (tmp_path / "proxy.yaml").write_text(CONFIG.format(web=clients.port))
    generations = [await trio.to_thread.run_sync(serve, tmp_path, 0)]
    try:
        async with trio.open_nursery() as nursery:
            for number in range(CLIENTS):
                nursery.start_soon(clients.run, "/again" if number % 2 else "/")
            for epoch in (1, 2):
                answered = clients.answered
                generations.append(await trio.to_thread.run_sync(serve, tmp_path, epoch))
                assert await trio.to_thread.run_sync(generations[-2].wait_gone) == 0
                assert clients.answered > answered
            clients.enough = True
    finally:
        for generation in generations:
            generation.kill_all()
    assert clients.told == 2 * CLIENTS
