"""From a key to a host, so that hosts that come or go move few keys.

Both tables depend on nothing but the hosts' keys and weights: every worker and every generation
makes the same one. Filling one takes some 50 ms for 1,000 hosts, so it is done in steps.
"""

from __future__ import annotations

from array import array
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar

from trioproxy.upstream.policies import Host

H = TypeVar("H", bound=Host)
H_co = TypeVar("H_co", bound=Host, covariant=True)

STEP = 8000
"""Slots that are tried in a step, which takes about a millisecond."""

HASH_BITS = 56  # small enough for a fast integer
INDEX_BITS = 20
POINT_BITS = 40
BUCKET_BITS = 12
POINTS_PER_DIGEST = 12


def stable_hash(key: bytes) -> int:
    """Return 56 bits that are the same in every process, on every machine."""
    return int.from_bytes(blake2b(key, digest_size=HASH_BITS // 8).digest(), "little")


class Table(Protocol[H_co]):
    """Where keys belong, once `fill` has come to its end."""

    def fill(self) -> Iterator[None]:
        """Fill the table a step at a time."""
        ...

    def at(self, key: int, turn: int) -> H_co:
        """Return the host of a key at the first turn, 0, or another at later ones."""
        ...


MakeTable = Callable[[Sequence[H], Sequence[float]], Table[H]]


class Ring(Generic[H]):
    """`ring_hash`: each host has points on a ring; a key belongs to the next point's host.

    How many points a host has does not depend on how many others there are, so that a host that
    leaves moves no keys but its own, unless all others become lighter or heavier by it: points are
    counted for the lightest host, and where they would be more than `maximum` in all each host's
    are halved until they fit.
    """

    def __init__(
        self, hosts: Sequence[H], weights: Sequence[float], points_per_host: int, maximum: int
    ) -> None:
        self._hosts = hosts
        self._counts = _point_counts(weights, points_per_host, maximum)
        self._entries = array("q")  # place on the ring and index of the host, in one number

    def fill(self) -> Iterator[None]:
        """Fill the ring a step at a time."""
        buckets: list[list[int]] = [[] for _ in range(1 << BUCKET_BITS)]
        shift = POINT_BITS + INDEX_BITS - BUCKET_BITS
        done = 0
        for index, (host, count) in enumerate(zip(self._hosts, self._counts, strict=True)):
            for entry in _points(host.member.key, index, count):
                buckets[entry >> shift].append(entry)
            done += count
            if done >= STEP:
                done = 0
                yield
        for bucket in buckets:
            bucket.sort()
            self._entries.extend(bucket)
            done += len(bucket)
            if done >= STEP:
                done = 0
                yield

    def at(self, key: int, turn: int) -> H:
        """Return the host of the next point, or of a later one."""
        place = (key & ((1 << POINT_BITS) - 1)) << INDEX_BITS
        index = (bisect(self._entries, place) + turn) % len(self._entries)
        return self._hosts[self._entries[index] & ((1 << INDEX_BITS) - 1)]


def _point_counts(weights: Sequence[float], points_per_host: int, maximum: int) -> list[int]:
    lightest = min(weights)
    counts = [max(1, round(points_per_host * weight / lightest)) for weight in weights]
    while sum(counts) > maximum and max(counts) > 1:
        counts = [max(1, count // 2) for count in counts]
    return counts


def _points(key: str, index: int, count: int) -> Iterator[int]:
    """Yield `count` entries of the ring, spread by chance that is always the same."""
    size = POINT_BITS // 8
    for first in range(0, count, POINTS_PER_DIGEST):
        digest = blake2b(b"%b#%d" % (key.encode(), first)).digest()
        for at in range(min(POINTS_PER_DIGEST, count - first)):
            start = at * size
            end = start + size
            yield int.from_bytes(digest[start:end], "little") << INDEX_BITS | index


class Maglev(Generic[H]):
    """`maglev`: hosts take slots of a table in turns, each in an order of its own.

    Their shares are even to within a slot a turn, and a pick is one lookup. `size` is a prime.
    """

    def __init__(self, hosts: Sequence[H], weights: Sequence[float], size: int) -> None:
        self._hosts = hosts
        self._weights = weights
        self._size = size
        self._slots = array("i", [-1]) * size

    def fill(self) -> Iterator[None]:
        """Fill the table a step at a time."""
        size, slots = self._size, [-1] * self._size
        keys = [host.member.key.encode() for host in self._hosts]
        next_slots = [stable_hash(b"offset " + key) % size for key in keys]
        skips = [stable_hash(b"skip " + key) % (size - 1) + 1 for key in keys]
        left, tried = size, 0
        for index in _turns(self._weights):
            slot, skip = next_slots[index], skips[index]
            while slots[slot] >= 0:
                slot += skip
                if slot >= size:
                    slot -= size
                tried += 1
            slots[slot] = index
            next_slots[index] = slot
            left -= 1
            tried += 1
            if not left:
                break
            if tried >= STEP:
                tried = 0
                yield
        self._slots = array("i", slots)

    def at(self, key: int, turn: int) -> H:
        """Return the host of the key's slot, or of another one that chance made the key's."""
        slot = stable_hash(b"%d %d" % (key, turn)) if turn else key
        return self._hosts[self._slots[slot % self._size]]


def _turns(weights: Sequence[float]) -> Iterator[int]:
    """Yield indices for ever, each as often as its weight says, the heaviest in every round."""
    heaviest = max(weights)
    shares = [weight / heaviest for weight in weights]
    saved = [0.0] * len(weights)
    while True:
        for index, share in enumerate(shares):
            credit = saved[index] + share
            if credit >= 1.0:
                credit -= 1.0
                yield index
            saved[index] = credit
