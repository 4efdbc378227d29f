from __future__ import annotations

import random

import attrs

from trioproxy.clusters.ejection import Ejection
from trioproxy.config.outlier_detection import OutlierDetection

CONFIG = OutlierDetection(base_ejection_time=30.0, max_ejection_time=100.0)
RNG = random.Random(1)


def eject(ejection: Ejection, times: int = 1) -> list[float]:
    """Eject a host again and again; returns how long each time."""
    lengths = []
    for _ in range(times):
        ejection.begin(0.0, RNG)
        lengths.append(ejection.length)
        ejection.end(ejection.length)
    return lengths


def test_each_one_is_longer_up_to_the_longest() -> None:
    ejection = Ejection(CONFIG)
    assert eject(ejection, 6) == [30, 60, 90, 100, 100, 100]
    assert ejection.count == 6


def test_good_behaviour_makes_the_next_one_shorter() -> None:
    ejection = Ejection(CONFIG)
    eject(ejection, 3)
    ejection.forgive()
    ejection.forgive()
    assert eject(ejection) == [60]
    for _ in range(10):
        ejection.forgive()
    assert eject(ejection) == [30]


def test_it_is_due_when_it_has_lasted() -> None:
    ejection = Ejection(CONFIG)
    assert not ejection.due(1000.0)
    ejection.begin(1000.0, RNG)
    assert not ejection.due(1029.9)
    assert ejection.due(1030.0)


def test_jitter_makes_it_longer() -> None:
    jittery = attrs.evolve(CONFIG, max_ejection_time_jitter=10.0)
    lengths = [eject(Ejection(jittery))[0] for _ in range(100)]
    assert 30 <= min(lengths) < 31
    assert 39 < max(lengths) <= 40
