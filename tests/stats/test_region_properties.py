"""Whatever processes do to the region, in whatever order, its sums are those of a plain model."""

from __future__ import annotations

import os
from collections import Counter as Tally
from typing import TYPE_CHECKING

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from trioproxy.stats.handles import OwnGauge
from trioproxy.stats.layout import NAMES_END_CELL, NAMES_START
from trioproxy.stats.locks import LockFile, owned
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region

if TYPE_CHECKING:
    from trioproxy.stats.writer import Writer

NAMES = st.sampled_from("abcdefgh")
AMOUNTS = st.integers(1, 1000)
READS_FOR = 2
"""The epoch that the reader reads for."""


@attrs.define(eq=False)
class Process:
    """A process as it would be: its own attachment, its claim, and its share of the gauges."""

    region: Region
    writer: Writer
    epoch: int
    gauges: Tally[str] = attrs.field(factory=Tally)
    own_gauges: Tally[str] = attrs.field(factory=Tally)


class Instance(RuleBasedStateMachine):
    """The processes of one instance, and what they together ought to have counted."""

    processes = Bundle("processes")

    def __init__(self) -> None:
        super().__init__()
        self.region = Region.create()
        self.reader = Reader(self.region, READS_FOR)
        self.living: list[Process] = []
        self.most_alive = 0
        self.counters: Tally[str] = Tally()
        self.recorded: Tally[str] = Tally()
        self.sums: Tally[str] = Tally()
        self.used_by: dict[tuple[str, str], int] = {}
        self.seen: dict[str, int] = {}

    def teardown(self) -> None:
        for process in self.living:
            process.writer.close()
            process.region.close()
        self.reader.close()
        self.region.close()

    def use(self, process: Process, kind: str, name: str) -> str:
        newest = self.used_by.get((kind, name), 0)
        self.used_by[kind, name] = max(newest, process.epoch)
        return name

    @rule(target=processes, epoch=st.integers(0, 4))
    def claim(self, epoch: int) -> Process:
        region = Region.attach(self.region.fd)
        process = Process(region, region.claim(epoch, 0), epoch)
        self.living.append(process)
        self.most_alive = max(self.most_alive, len(self.living))
        return process

    @rule(process=processes, name=NAMES, amount=AMOUNTS)
    def count(self, process: Process, name: str, amount: int) -> None:
        process.writer.counter(self.use(process, "counter", name)).add(amount)
        self.counters[name] += amount

    @rule(process=processes, name=NAMES, amount=st.integers(-10, 10))
    def move_a_gauge(self, process: Process, name: str, amount: int) -> None:
        process.writer.gauge(self.use(process, "gauge", "g" + name)).add(amount)
        process.gauges["g" + name] += amount

    @rule(process=processes, name=NAMES, value=AMOUNTS)
    def set_an_own_gauge(self, process: Process, name: str, value: int) -> None:
        process.writer.handle(OwnGauge, self.use(process, "gauge", "o" + name)).set(value)
        process.own_gauges["o" + name] = value

    @rule(process=processes, name=NAMES, value=AMOUNTS)
    def record(self, process: Process, name: str, value: int) -> None:
        process.writer.histogram(self.use(process, "histogram", name)).record(value)
        self.recorded[name] += 1
        self.sums[name] += value

    @rule(process=consumes(processes))
    def retire(self, process: Process) -> None:
        self.living.remove(process)
        process.writer.close()
        process.region.close()

    @rule(process=consumes(processes))
    def die(self, process: Process) -> None:
        self.living.remove(process)
        os.close(process.writer._locks.file)  # all that the kernel does for it

    @rule(process=consumes(processes), garbage=st.binary(min_size=1, max_size=40))
    def die_while_appending_a_name(self, process: Process, garbage: bytes) -> None:
        self.die(process)
        end = int.from_bytes(os.pread(self.region.fd, 8, 8 * NAMES_END_CELL), "little")
        os.pwrite(self.region.fd, garbage, NAMES_START + end)

    @rule(process=consumes(processes))
    def die_and_be_half_replaced(self, process: Process) -> None:
        """The next owner has the block, but has not zeroed the gauges yet, when it dies too."""
        self.die(process)
        with LockFile(self.region.fd) as claimer:
            assert claimer.try_acquire(owned(process.writer._block.number))
            self.gauges_are_those_of_the_living()

    @precondition(lambda self: self.counters)
    @rule(process=processes)
    def reset_counters(self, process: Process) -> None:
        process.region.reset_counters()
        self.counters.clear()
        self.seen.clear()

    def visible(self, kind: str) -> set[str]:
        oldest = min((process.epoch for process in self.living), default=0)
        return {
            name for (of, name), epoch in self.used_by.items() if of == kind and epoch >= oldest
        }

    @invariant()
    def counters_are_exact_and_never_step_back(self) -> None:
        found = self.reader.snapshot().counters
        assert found == {name: self.counters[name] for name in self.visible("counter")}
        assert all(value >= self.seen.get(name, 0) for name, value in found.items())
        self.seen.update(found)

    @invariant()
    def gauges_are_those_of_the_living(self) -> None:
        expected = Tally(dict.fromkeys(self.visible("gauge"), 0))
        for process in self.living:
            expected.update(process.gauges)
            if process.epoch == READS_FOR:
                expected.update(process.own_gauges)
        assert self.reader.snapshot().gauges == dict(expected)

    @invariant()
    def histograms_keep_what_was_recorded(self) -> None:
        found = self.reader.snapshot().histograms
        assert {name: (value.count, value.sum) for name, value in found.items()} == {
            name: (self.recorded[name], self.sums[name]) for name in self.visible("histogram")
        }

    @invariant()
    def it_grows_by_those_alive_at_once_alone(self) -> None:
        assert len(self.region.blocks()) == self.most_alive
        assert sorted(owner.epoch for owner in self.reader.living()) == sorted(
            process.epoch for process in self.living
        )


Instance.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class TestInstance(Instance.TestCase):
    """A80, A81, A82, A88: claim, grow, write, die and retire in any order."""
