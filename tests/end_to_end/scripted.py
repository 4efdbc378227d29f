"""Scripted generations: they speak the real protocol, and die or fall silent where a test says.

They live in the test's own process. To the other side the end of a peer's channel and of its
descriptors is all that there is of the end of its process.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from instances import PATIENCE

from trioproxy.restart.channel import BlockingChannel, PeerGone
from trioproxy.restart.protocol import (
    TO_CHILD,
    TO_PARENT,
    Draining,
    DrainListeners,
    Hello,
    ListenSockets,
    Passed,
    PassListenSockets,
    ToChild,
    ToParent,
    Welcome,
)
from trioproxy.stats.layout import LAYOUT_VERSION
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region

if TYPE_CHECKING:
    from typing import Self

    import attrs
    from sites import Site

LIFE = 600.0  # seconds until a scripted child would say Terminate
Told = TypeVar("Told", bound=ToChild)
Asked = TypeVar("Asked", bound=ToParent)


class Scripted:
    """Owns what dies with it."""

    def __init__(self) -> None:
        self.owned = ExitStack()

    def die(self) -> None:
        """Let go of everything, as a killed process does."""
        self.owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.die()


class ScriptedChild(Scripted):
    """Takes over as far as it is told."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = BlockingChannel(sock, TO_CHILD)
        self.owned.callback(self.channel.close)
        sock.settimeout(PATIENCE)
        sock.connect(str(site.control))
        self.passed: tuple[Passed, ...] = ()
        self.sockets: list[socket.socket] = []

    def ask(self, question: attrs.AttrsInstance, kind: type[Told]) -> tuple[Told, tuple[int, ...]]:
        """Return the answer, which has to be a `kind`, and the descriptors with it."""
        self.channel.send(question)
        received = self.channel.receive()
        assert isinstance(received.message, kind), received.message
        return received.message, received.fds

    def greet(self, epoch: int | None = None, init_timeout: float = 60.0) -> Welcome:
        """Say Hello."""
        hello = Hello(epoch, init_timeout, LAYOUT_VERSION, features=())
        welcome, (region,) = self.ask(hello, Welcome)
        self.region = self.owned.enter_context(Region.attach(region))
        os.close(region)
        return welcome

    def wait_for_gauge(self, name: str, value: int) -> None:
        """Wait until a gauge of the parent's stands at `value`."""
        with Reader(self.region, 0) as reader:
            give_up = time.monotonic() + PATIENCE
            while reader.gauge(name, 0) != value:
                assert time.monotonic() < give_up
                time.sleep(0.001)

    def take_sockets(self) -> None:
        """Ask for the listen sockets, too."""
        self.greet()
        answer, fds = self.ask(PassListenSockets(), ListenSockets)
        self.passed = answer.sockets
        self.sockets = [self.owned.enter_context(socket.socket(fileno=fd)) for fd in fds]

    def drain(self, *dropped: str) -> DrainListeners:
        """Return what to say to be the one that accepts, but for some listeners."""
        kept = (i for i, each in enumerate(self.passed) if each.listener not in dropped)
        return DrainListeners(tuple(kept), LIFE)

    def take_over(self, *dropped: str) -> Draining:
        """Become the one that accepts, but for some listeners."""
        self.take_sockets()
        draining, _ = self.ask(self.drain(*dropped), Draining)
        return draining


class ScriptedParent(Scripted):
    """Gives way as far as it is told; it has `web` and the control socket to give."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.path = site.control
        self.region = self.owned.enter_context(Region.create())
        self.web = self.owned.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
        self.web.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.port: int = self.web.getsockname()[1]
        self.control = self.owned.enter_context(
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        )
        self.control.bind(str(self.path))
        self.control.listen()
        self.control.settimeout(PATIENCE)

    def meet(self) -> None:
        """Let a child in."""
        sock, _ = self.control.accept()
        self.channel = BlockingChannel(sock, TO_PARENT)
        self.owned.callback(self.channel.close)
        sock.settimeout(PATIENCE)

    def hear(self, kind: type[Asked]) -> Asked:
        """Wait for what has to be a `kind`."""
        received = self.channel.receive()
        assert isinstance(received.message, kind), received.message
        return received.message

    def welcome(self) -> None:
        """Answer Hello."""
        self.meet()
        self.hear(Hello)
        self.channel.send(Welcome(0, 100.0), [self.region.fd])

    def pass_sockets(self) -> None:
        """Answer PassListenSockets, too."""
        self.welcome()
        self.hear(PassListenSockets)
        control = Passed("control", f"unix:{self.path}", lent=False)
        web = Passed("web", f"127.0.0.1:{self.port}", lent=False)
        fds = [self.control.fileno(), self.web.fileno()]
        self.channel.send(ListenSockets((control, web)), fds)

    def hear_drain(self) -> None:
        """Leave DrainListeners unanswered."""
        self.pass_sockets()
        self.hear(DrainListeners)

    def give_way(self) -> None:
        """Answer DrainListeners, too."""
        self.hear_drain()
        self.channel.send(Draining(0))

    def hear_end(self) -> None:
        """Wait until the child is gone."""
        while True:
            try:
                self.channel.receive()
            except PeerGone:
                return
