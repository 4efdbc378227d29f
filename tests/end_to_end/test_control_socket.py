"""Whoever finds the control socket: what a stranger says there, or does not, disturbs nothing."""

from __future__ import annotations

import json
import os
import random
import socket
from contextlib import ExitStack, closing, contextmanager, suppress
from math import inf, nan
from typing import TYPE_CHECKING

import pytest
from instances import PATIENCE
from lineage import Generations
from peers import HELLO, WHOLE, Peer

from trioproxy.restart.packets import FIRST, LARGEST_MESSAGE, LAST, PIECE
from trioproxy.restart.version import PROTOCOL_VERSION
from trioproxy.stats.layout import LAYOUT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VALUES = (None, True, 0, 1, -1, 2**63, 10**400, 0.5, nan, inf, -inf, "", "x", [], [1], {}, [[0]])


def oversized_message(peer: Peer) -> None:
    peer.push(b"x" * PIECE, FIRST)
    with suppress(OSError):  # nobody listens to the end
        for _ in range(LARGEST_MESSAGE // PIECE + 300):
            peer.push(b"x" * PIECE, 0)


def many_descriptors(peer: Peer) -> None:
    fds = [peer.thing] * 253
    for marks in (FIRST, 0, 0):
        peer.push(b"", marks, fds)
    peer.push(b"not a message", LAST, fds)


NONSENSE: dict[str, Callable[[Peer], object]] = {
    "a packet of nothing": lambda peer: peer.sock.send(b""),
    "random bytes": lambda peer: peer.push(bytes(range(256)), 255),
    "no JSON": lambda peer: peer.push(b"hello"),
    "no UTF-8": lambda peer: peer.push(b"\xff\xfe\xfd"),
    "deep JSON": lambda peer: peer.push(b"[" * 60_000),
    "no message": lambda peer: peer.push(b'{"Hello": 1}'),
    "no fields": lambda peer: peer.push(b'["Hello", 7]'),
    "a name that is none": lambda peer: peer.push(b'[["Hello"], {}]'),
    "an unknown message": lambda peer: peer.say("Goodbye"),
    "a message of the other side": lambda peer: peer.say("Draining", connections=1),
    "a field too few": lambda peer: peer.say("Hello", epoch=1),
    "a field of another type": lambda peer: peer.say("Hello", **{**HELLO, "layout": "1"}),
    "no number": lambda peer: peer.say("Hello", **{**HELLO, "init_timeout": nan}),
    "a negative time": lambda peer: peer.say("Hello", **{**HELLO, "init_timeout": -1.0}),
    "a number that is no float": lambda peer: peer.say(
        "Hello", **{**HELLO, "init_timeout": 10**400}
    ),
    "the middle of a message": lambda peer: peer.push(b"{}", 0),
    "the end of a message": lambda peer: peer.push(b"{}", LAST),
    "a packet too large": lambda peer: peer.push(b"x" * (PIECE + 1)),
    "a message too large": oversized_message,
    "PassListenSockets first": lambda peer: peer.say("PassListenSockets"),
    "DrainListeners first": lambda peer: peer.say("DrainListeners", kept=[], life=0.0),
    "Terminate first": lambda peer: peer.say("Terminate"),
    "Terminate second": lambda peer: [peer.say("Hello", **HELLO), peer.say("Terminate")],
    "Hello twice": lambda peer: [peer.say("Hello", **HELLO), peer.say("Hello", **HELLO)],
    "another epoch": lambda peer: peer.say("Hello", **{**HELLO, "epoch": 7}),
    "descriptors with what is refused": lambda peer: peer.say(
        "Hello", fds=[peer.thing] * 9, **{**HELLO, "epoch": 7}
    ),
    "descriptors with what is no message": many_descriptors,
}
HALF_WAY: dict[str, Callable[[Peer], object]] = {
    "nothing": lambda _: None,
    "half a message": lambda peer: peer.push(b'["Hello"', FIRST, [peer.thing] * 9),
    "Hello with descriptors": lambda peer: peer.say("Hello", [peer.thing] * 9, **HELLO),
    "who never reads": lambda peer: [
        peer.say("Hello", **HELLO),
        peer.say("PassListenSockets", [peer.thing]),
    ],
}


@pytest.fixture
def generations(tmp_path: Path) -> Iterator[Generations]:
    with closing(Generations(tmp_path)) as generations:
        generations.serve()
        yield generations


def descriptors(generations: Generations) -> int:
    return len(os.listdir(f"/proc/{generations.all[-1].pid}/fd"))


def refused(generations: Generations) -> bool:
    """Be refused; with every answer, the main process has got further with who came before."""
    with closing(Peer(generations.control)) as peer:
        peer.say("Terminate")
        return "expected Hello, not Terminate" in peer.hear_out()


def settled(generations: Generations, before: int) -> bool:
    """Return whether it has, soon, as many descriptors as before."""
    return any(refused(generations) and descriptors(generations) == before for _ in range(100))


def test_peers_that_say_what_no_child_says(generations: Generations) -> None:
    """A38: each costs nothing, not even a descriptor, and a restart right afterwards works."""
    client, before = generations.connect(), descriptors(generations)
    for what, speak in NONSENSE.items():
        with closing(Peer(generations.control)) as peer:
            speak(peer)
            peer.hear_out()
        assert descriptors(generations) == before, what
    assert client.ask()
    generations.serve()


def test_peers_that_leave_half_way(generations: Generations) -> None:
    """A38: what they had is taken back as soon as they are gone."""
    client, before = generations.connect(), descriptors(generations)
    for what, speak in HALF_WAY.items():
        with closing(Peer(generations.control)) as peer:
            speak(peer)
        assert settled(generations, before), what
    assert client.ask()
    generations.serve()


def test_two_hundred_silent_peers_at_once(generations: Generations) -> None:
    """A38: a restart works while they stay, and they do not keep the parent."""
    with ExitStack() as stack:
        crowd = [stack.enter_context(closing(Peer(generations.control))) for _ in range(200)]
        (parent,) = generations.all
        client = generations.connect()
        generations.serve()
        assert client.ask()
        client.sock.close()
        assert parent.wait_gone() == 0
        assert [peer.hear_out() for peer in crowd] == [""] * 200


@pytest.mark.parametrize("seed", range(3))
def test_whatever_a_peer_says(generations: Generations, seed: int) -> None:
    """A38: messages with anything in their fields, torn and shuffled, with descriptors or none."""
    rng = random.Random(seed)
    client, before = generations.connect(), descriptors(generations)
    for _ in range(100):
        with closing(Peer(generations.control)) as peer, suppress(OSError):
            for _ in range(rng.randrange(4)):
                babble(peer, rng)
    assert settled(generations, before)
    assert client.ask()
    generations.serve()


def babble(peer: Peer, rng: random.Random) -> None:
    """Say something."""
    name = rng.choice(["Hello", "PassListenSockets", "DrainListeners", "Welcome", "", "x"])
    keys = rng.choices([*HELLO, "kept", "life", "seconds", "features"], k=5)
    fields = {key: rng.choice(VALUES) for key in keys}
    said = json.dumps([name, HELLO | fields if rng.random() < 0.5 else fields]).encode()
    if rng.random() < 0.3:
        said = said[: rng.randrange(len(said))]
    fds = [peer.thing] * rng.choice([0, 0, 1, 253])
    peer.push(said, rng.choice([WHOLE] * 5 + [FIRST, LAST, 0, 255]), fds)


@pytest.mark.parametrize(
    ("field", "theirs", "said"),
    [
        ("version", PROTOCOL_VERSION + 1, f"{PROTOCOL_VERSION + 1}.{LAYOUT_VERSION}"),
        ("layout", LAYOUT_VERSION + 1, f"{PROTOCOL_VERSION}.{LAYOUT_VERSION + 1}"),
    ],
)
def test_a_child_of_another_version_is_told_so(
    generations: Generations, field: str, theirs: int, said: str
) -> None:
    """A37, the parent's side: it is untouched, and the next child takes over."""
    with closing(Peer(generations.control)) as peer:
        peer.say("Hello", **{**HELLO, field: theirs})
        assert f"hot restart version {said} cannot follow" in peer.hear_out()
    assert generations.connect().ask()
    generations.serve()


@contextmanager
def listening_at(path: str) -> Iterator[socket.socket]:
    """Listen where a parent would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.bind(path)
        sock.listen()
        sock.settimeout(PATIENCE)
        yield sock


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('["Refused", {"reason": "version 1.2 cannot follow 9.9"}]', "version 1.2 cannot follow"),
        ('["Bienvenue", {"epoch": 0}]', "another language"),
        ('["Draining", {"connections": 0}]', "out of turn"),
        ('["Welcome", {"epoch": 0, "uptime": 1.0}]', "is of no use"),  # where is the region?
    ],
    ids=["a refusal", "an unknown message", "another answer", "no region"],
)
def test_a_child_leaves_a_parent_of_another_version_alone(
    tmp_path: Path, answer: str, reason: str
) -> None:
    """A37, the child's side: it says why and exits with 1."""
    generations = Generations(tmp_path)
    with closing(generations), listening_at(generations.control) as parent:
        child = generations.begin()
        session, _ = parent.accept()
        with session:
            heard = session.recv(PIECE)
            session.send(bytes([WHOLE]) + answer.encode())
            assert heard[1:].startswith(b'["Hello"')
            child.wait_for(reason)
            assert child.wait_gone() == 1
            assert session.recv(PIECE) == b""
