from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.clusters.success_rates import Outcome
from trioproxy.clusters.tallies import Outcomes, Tallies
from trioproxy.stats.health import HostOutcomes
from trioproxy.stats.upstream import ClusterStats

if TYPE_CHECKING:
    from trioproxy.stats.reader import Reader
    from trioproxy.stats.region import Region

NOTHING = Outcomes(Outcome(0, 0), Outcome(0, 0))


def test_all_workers_count_the_dead_included(region: Region, reader: Reader) -> None:
    tallies = Tallies(reader)
    assert tallies.outcomes("app", ["[::1]:80"]) == {"[::1]:80": NOTHING}
    with region.claim(0, 0) as one:
        outcomes = HostOutcomes(one, "app", "[::1]:80")
        outcomes.success.add(1)
        outcomes.failure.add(2)
    with region.claim(1, 1) as other:
        outcomes = HostOutcomes(other, "app", "[::1]:80")
        outcomes.success.add(10)
        outcomes.local_success.add(3)
        outcomes.local_failure.add(4)
        found = tallies.outcomes("app", ["[::1]:80", "unix:/a"])
        assert found == {"[::1]:80": Outcomes(Outcome(11, 2), Outcome(3, 4)), "unix:/a": NOTHING}


def test_a_cluster_that_was_ever_connected_to(region: Region, reader: Reader) -> None:
    tallies = Tallies(reader)
    with region.claim(0, 0) as worker:
        app, db = ClusterStats(worker, "app:1"), ClusterStats(worker, "db")
        assert not tallies.had_traffic("app:1")
        app.upstream_cx_total.add()
        assert tallies.had_traffic("app:1")
        assert not tallies.had_traffic("db")
        db.upstream_cx_total.add(0)
        assert not tallies.had_traffic("db")
