from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import httpx
import pytest

from trioproxy.admin.app import make_app
from trioproxy.admin.instance import State, TooLate
from trioproxy.admin.own_stats import OwnStats
from trioproxy.admin.view import View
from trioproxy.clusters.changes import Changes
from trioproxy.clusters.membership import Membership
from trioproxy.config.address import Address
from trioproxy.config.loader import load
from trioproxy.config.options import Options
from trioproxy.filters.registry import REGISTRY
from trioproxy.restart.protocol import Attempt, Listening, Progress, Speaking, Standing
from trioproxy.stats.reader import Reader
from trioproxy.stats.region import Region
from trioproxy.stats.writer import MAIN, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trioproxy.config.server import Config

CONFIG = """
admin: {address: 127.0.0.1:9901}
drain: {time: 30s}
listeners:
- name: web
  address: 127.0.0.1:0
  filters:
  - http_connection_manager:
      stat_prefix: ingress
      request_headers: {set: {authorization: Bearer s3cret, x-team: edge}}
      routes:
      - match: {prefix: /, headers: [{name: x-api-key, exact: s3cret}]}
        route: {cluster: app, timeout: 15s}
- name: db
  address: unix:/run/db.sock
  filters: [{tcp_proxy: {stat_prefix: db, cluster: pg}}]
clusters:
- name: app
  endpoints: [127.0.0.1:8080, {address: 127.0.0.1:8081, weight: 2}]
  circuit_breakers: {max_connections: 7}
- name: pg
  endpoints: [unix:/run/pg.sock]
"""

LOCAL = "http://127.0.0.1:9901"


@attrs.define(eq=False)
class FakeInstance:
    """A generation that notes what it is told; `writer` is its main's block."""

    config: Config
    region: Region
    writer: Writer
    options: Options = attrs.field(factory=lambda: Options(Path("proxy.yaml"), concurrency=2))
    base_id: int = 5
    epoch: int = 3
    state: State = State.LIVE
    uptime: float = 15.9
    uptime_all_epochs: float = 222.2
    addresses: dict[str, Address] = attrs.field(factory=dict)
    log_levels: dict[str, str] = attrs.field(factory=dict)
    memberships: dict[str, Membership] = attrs.field(factory=dict)
    missing: dict[str, str] = attrs.field(factory=dict)
    told: list[str] = attrs.field(factory=list)
    too_late: str = ""
    history: Sequence[Attempt] = (
        Attempt(2, 1767225600.5, 0.75, "took over"),
        Attempt(3, 1767229200.0, 60.0, "died before it was ready"),
    )
    standing: tuple[Standing, ...] = (
        Standing(0, 17, "web", "WebSocket", "192.0.2.7:40312", 3725, "flow", "life", 30, 2048, 99),
        Standing(1, 4, "web", "HTTP/1.1", "", 59, "idle", "notice", None),
    )

    async def set_log_level(self, level: str, component: str) -> None:
        self.told.append(f"{component} from {level}")
        for name in [component] if component else self.log_levels:
            self.log_levels[name] = level

    async def generations(self) -> Sequence[Progress]:
        protocols = (Speaking("HTTP/1.1", notice=1190, idle=3), Speaking("WebSocket", life=7))
        web = Listening(
            "web", 1200, idle=7, told=3, moving=1, next=4.4, last=30.0, protocols=protocols
        )
        return [
            Progress(self.epoch, "serving", (Listening("web", open=2), Listening("db"))),
            Progress(
                self.epoch - 1, "draining", (web, Listening("db")), 1500, 290, 2, self.standing
            ),
        ]

    async def close_connection(self, epoch: int, worker: int, number: int) -> None:
        if self.too_late:
            raise TooLate(self.too_late)
        self.told.append(f"close {epoch} {worker} {number}")

    async def reopen_logs(self) -> None:
        self.told.append("reopen logs")

    async def fail_health(self) -> None:
        self.state = State.DRAINING

    async def restore_health(self) -> None:
        self.state = State.LIVE

    async def drain_listeners(self, *, graceful: bool, keep_open: bool) -> None:
        self.told.append(f"drain graceful={graceful} keep_open={keep_open}")

    async def cancel_drain(self) -> None:
        if self.too_late:
            raise TooLate(self.too_late)
        self.told.append("cancel drain")

    def unready(self) -> dict[str, str]:
        return self.missing

    def ask_to_leave(self) -> None:
        self.told.append("leave")


@pytest.fixture
def region() -> Iterator[Region]:
    with Region.create() as region:
        yield region


@pytest.fixture
def instance(region: Region) -> Iterator[FakeInstance]:
    """The third hot restart's generation, with two listeners and two clusters, alone."""
    config, changes = load(None, CONFIG, REGISTRY).config, Changes()
    with region.claim(3, MAIN) as writer:
        yield FakeInstance(
            config,
            region,
            writer,
            addresses={
                "web": Address.parse("127.0.0.1:18401"),
                "db": Address.parse("unix:/run/db.sock"),
            },
            log_levels={"main": "info", "worker": "info"},
            memberships={each.name: Membership(each, writer, changes) for each in config.clusters},
        )


@pytest.fixture
def worker(region: Region) -> Iterator[Writer]:
    """The block of a worker of the same generation."""
    with region.claim(3, 0) as writer:
        yield writer


@pytest.fixture
def view(instance: FakeInstance) -> Iterator[View]:
    with Reader(instance.region, instance.epoch) as reader:
        yield View(instance, OwnStats(instance, reader))


@pytest.fixture
def client(view: View) -> httpx.AsyncClient:
    """A client of the application, without a network between."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(make_app(view)), base_url=LOCAL)
