"""What picking a host costs among few and among many, what a change of hosts costs the loop, and
what limits that all workers share cost a request.

`python -m benchmarks.limits`. The best of several rounds counts, in CPU time.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from random import Random
from statistics import median
from time import monotonic, process_time
from typing import TYPE_CHECKING, get_args

from trioproxy.config.address import Address
from trioproxy.config.cluster import CircuitBreakers, Cluster, Policy, RetryBudget
from trioproxy.config.endpoint import Endpoint
from trioproxy.stats.region import Region
from trioproxy.stats.upstream import CircuitBreakerStats, ClusterStats, HostStats, LbStats
from trioproxy.upstream.breaker import Breaker
from trioproxy.upstream.host import Host
from trioproxy.upstream.lb import Balancer, Wish
from trioproxy.upstream.member import FAILED_ACTIVE_HC, Member
from trioproxy.upstream.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trioproxy.stats.writer import Writer

CALLS = 20_000
ROUNDS = 7
WORKERS = 8  # as of two generations
"""Processes that a retry budget is shared by."""


def cost(call: Callable[[], object]) -> float:
    """Nanoseconds of a call, at its best."""
    return min(once(lambda: [call() for _ in range(CALLS)]) for _ in range(ROUNDS)) * 1e9 / CALLS


def once(call: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    begun = process_time()
    call()
    return process_time() - begun


def hosts(writer: Writer, count: int, ill: int = 0) -> list[Host]:
    """So many hosts, some of them ill."""
    stats = HostStats(writer, "app", "any")
    flags = [(FAILED_ACTIVE_HC,)] * ill + [()] * (count - ill)
    addresses = [f"10.0.{number >> 8}.{number & 255}:80" for number in range(count)]
    members = [Member(name, flags=of_it) for name, of_it in zip(addresses, flags, strict=True)]
    return [Host(member, stats) for member in members]


def pick(balancer: Balancer[Host], policy: str) -> Callable[[], object]:
    """What picks a host as a request does."""
    if policy not in {"ring_hash", "maglev"}:
        return balancer.pick
    rng = Random(1)
    wishes = [Wish(rng.getrandbits(56)) for _ in range(997)]
    numbers = iter(range(CALLS * ROUNDS + 1))
    return lambda: balancer.pick((), wishes[next(numbers) % 997])


def measure_picks(writer: Writer) -> None:
    """A line for each policy: a pick among 3 and 1,000 hosts, and when one of 1,000 leaves."""
    print("policy         3 hosts    1,000  a third ill   one leaves: at once, then in steps")
    for policy in get_args(Policy):
        config = Cluster("app", (Endpoint(Address.parse("127.0.0.1:1")),), lb_policy=policy)
        costs = []
        for group in (hosts(writer, 3), hosts(writer, 1000, ill=333), hosts(writer, 1000)):
            balancer: Balancer[Host] = Balancer(config, LbStats(writer, "app"), Random(1))
            balancer.update(group, 0.0)
            balancer.finish()
            costs.append(cost(pick(balancer, policy)))
        at_once, steps = change(balancer, group)
        few, some_ill, many = costs
        line = f"{policy:<14}{few:>6.0f} ns{many:>6.0f} ns{some_ill:>10.0f} ns"
        line += f"{at_once * 1e3:>12.1f} ms"
        print(f"{line}, {len(steps)} of {median(steps) * 1e3:.1f} ms" if steps else line)


def change(balancer: Balancer[Host], group: Sequence[Host]) -> tuple[float, list[float]]:
    """Have a host leave; returns the seconds that took at once, and those of each step after."""
    at_once = once(lambda: balancer.update(group[:-1], 0.0))
    steps = []
    while balancer.when < 1e9:
        steps.append(once(lambda: balancer.work(balancer.when)))
    return at_once, steps


def measure_limits(region: Region, writer: Writer) -> None:
    """A line for each limit that all workers share."""
    free = writer.shared.token_bucket("free", 1e7, 1e6, monotonic)
    empty = writer.shared.token_bucket("empty", 1e-6, 1, monotonic)
    empty.take()
    print(f"local_rate_limit, a token taken  {cost(free.take) / 1e3:>6.2f} us")
    print(f"local_rate_limit, refused        {cost(empty.take) / 1e3:>6.2f} us")
    with ExitStack() as stack:
        for worker in range(1, WORKERS):
            busy = stack.enter_context(region.claim(0, worker))
            ClusterStats(busy, "app").upstream_rq_active.add(100)
        breaker = Breaker(3, CircuitBreakerStats(writer, "app").rq_retry_open)
        retries = Retries(CircuitBreakers(), breaker, ClusterStats(writer, "app"), writer)
        budget = RetryBudget(1.0)
        plain, budgeted = (cost(partial(retry, retries, each)) / 1e3 for each in (None, budget))
        print(f"a retry, by max_retries          {plain:>6.2f} us")
        print(f"a retry, by a budget of {WORKERS} workers{budgeted:>6.2f} us")


def retry(retries: Retries, budget: RetryBudget | None) -> None:
    """Begin a retry and end it."""
    if retries.begin(budget):
        retries.end()


def main() -> None:
    """Measure everything."""
    with Region.create() as region, region.claim(0, 0) as writer:
        measure_picks(writer)
        measure_limits(region, writer)


if __name__ == "__main__":
    main()
