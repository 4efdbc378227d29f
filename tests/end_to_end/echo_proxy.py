"""A real main with real workers around the smallest data plane: what a client says comes back.

`python echo_proxy.py '{"listeners": {"web": "127.0.0.1:0"}, ...}'`. A line that is a command is
obeyed instead: `who` answers the worker's index and pid, `sleep <seconds>` takes its time,
`block <seconds>` blocks the loop, `log <text>` logs, `raise` fails the whole data plane.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import trio

from trioproxy.config.address import Address
from trioproxy.config.listener import Listener
from trioproxy.config.options import Options
from trioproxy.config.server import Admin, Config, Shutdown
from trioproxy.server.main import run

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from trioproxy.drain.lifetime import Cause
    from trioproxy.server.generation import Generation
    from trioproxy.server.plane import Identity
    from trioproxy.upstream.accusations import Accusation
    from trioproxy.upstream.member import Member


log = logging.getLogger("trioproxy.echo")


class Echo:
    """A data plane."""

    def __init__(self, identity: Identity, nursery: trio.Nursery) -> None:
        self.identity = identity
        self.nursery = nursery
        self.served = 0
        self.told: list[str] = []
        self.accepting: list[trio.CancelScope] = []
        self.listeners: list[trio.SocketListener] = []
        self.empty = trio.Event()
        self.active = 0

    def start(self, sockets: Mapping[str, Sequence[socket.socket]]) -> None:
        self.listeners = [
            trio.SocketListener(trio.socket.from_stdlib_socket(sock))
            for group in sockets.values()
            for sock in group
        ]
        self.resume()

    def resume(self) -> None:
        for listener in self.listeners:
            scope = trio.CancelScope()
            self.accepting.append(scope)
            self.nursery.start_soon(self.accept, listener, scope)

    def suspend(self) -> None:
        for scope in self.accepting:
            scope.cancel()

    def refuse(self, listeners: Collection[str]) -> None:
        self.told.append(f"refuse {listeners}")

    def hand_over(self, sock: socket.socket) -> None:
        self.told.append("hand over")
        sock.close()

    def adopt(self, sock: socket.socket) -> None:
        self.told.append("adopt")
        sock.close()

    def close_listeners(self) -> None:
        self.suspend()
        for listener in self.listeners:
            listener.socket.close()

    def drain(self, cause: Cause, time: float, life: float, *, immediate: bool) -> None:
        self.told.append(f"drain {cause.value} {time} {life} {immediate}")

    def undrain(self, cause: Cause) -> None:
        self.told.append(f"undrain {cause.value}")

    async def shutdown(self, seconds: float) -> None:
        self.suspend()
        with trio.move_on_after(seconds):
            await self.emptied()

    def close(self, number: int) -> None:
        self.told.append(f"close {number}")

    async def emptied(self) -> None:
        while self.active:
            self.empty = trio.Event()
            await self.empty.wait()

    def reopen_logs(self) -> None:
        self.told.append("reopen_logs")

    def set_health(self, *, failed: bool) -> None:
        self.told.append(f"health {'failed' if failed else 'ok'}")

    def set_hosts(self, cluster: str, members: Sequence[Member]) -> None:
        self.told.append(f"{cluster} has {len(members)} hosts")

    async def accusation(self) -> Accusation:
        await trio.sleep_forever()

    def report(self) -> dict[str, object]:
        return {"pid": os.getpid(), "served": self.served, "told": self.told}

    async def accept(self, listener: trio.SocketListener, scope: trio.CancelScope) -> None:
        with scope:
            while True:
                stream = await listener.accept()
                self.nursery.start_soon(self.serve, stream)

    async def serve(self, stream: trio.SocketStream) -> None:
        self.served += 1
        self.active += 1
        try:
            async with stream:
                async for data in stream:
                    await stream.send_all(await self.answer(data))
        except trio.BrokenResourceError:
            pass
        finally:
            self.active -= 1
            self.empty.set()

    async def answer(self, data: bytes) -> bytes:
        match data.decode().split():
            case ["who"]:
                return f"{self.identity.worker} {os.getpid()}\n".encode()
            case ["sleep", seconds]:
                log.info("sleeping")
                await trio.sleep(float(seconds))
            case ["log", text]:
                log.info("said %s", text)
            case ["block", seconds]:
                log.info("blocking")
                time.sleep(float(seconds))  # noqa: ASYNC251
            case ["raise"]:
                raise RuntimeError("as told")
        return data


@attrs.frozen
class OpenEcho:
    """Opens the data plane, or fails as `broken` says."""

    broken: str

    @asynccontextmanager
    async def __call__(self, identity: Identity) -> AsyncIterator[Echo]:
        if self.broken == f"raise {identity.worker}":
            raise RuntimeError("this plane is broken")
        if self.broken == f"exit {identity.worker}":
            os._exit(3)
        if self.broken == "hang":
            await trio.sleep_forever()
        async with trio.open_nursery() as nursery:
            yield Echo(identity, nursery)
            nursery.cancel_scope.cancel()


async def serve_admin(broken: str, generation: Generation, sock: socket.socket) -> None:
    """Tell everybody who connects the phase and what the workers report."""
    if broken == "admin":
        raise RuntimeError("this admin is broken")
    await generation.admin_door.keep(partial(tell_everybody, generation, sock))


async def tell_everybody(generation: Generation, sock: socket.socket) -> None:
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    while True:
        async with await listener.accept() as stream:
            reports = await generation.supervisor.gather()
            answer = {"phase": generation.phase.value, "workers": reports}
            await stream.send_all(json.dumps(answer).encode())


def main(plan: dict[str, Any]) -> int:
    options, shutdown_time = plan["options"], plan["shutdown_time"]
    paths = {"admin_address_path", "base_id_path", "log_path"} & options.keys()
    options |= {key: Path(options[key]) for key in paths}
    listeners = tuple(
        Listener(name, Address.parse(address), filters=(object(),))
        for name, address in plan["listeners"].items()
    )
    config = Config(
        listeners, admin=Admin(Address.parse("127.0.0.1:0")), shutdown=Shutdown(shutdown_time)
    )
    options, broken = Options(config_yaml="", **options), plan["broken"]
    return run(options, config, OpenEcho(broken), partial(serve_admin, broken), os.environ)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
