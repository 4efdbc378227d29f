"""`tcp_proxy`: bytes to a host of a cluster and back."""

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Annotated

import attrs
import trio

from trioproxy.accesslog.record import Record
from trioproxy.config.access_log import AccessLog
from trioproxy.config.drain import AS_ABOVE, Rungs
from trioproxy.config.endpoint import check_scalars
from trioproxy.config.marks import ClusterName, Count, Name
from trioproxy.config.route import WeightedCluster, one_of
from trioproxy.config.units import Seconds
from trioproxy.drain.lifetime import Lifetime, Stand
from trioproxy.errors import ConnectFailed, ProxyError
from trioproxy.filters.chain import Forward
from trioproxy.filters.connection import Connection, local_address
from trioproxy.filters.handover import missing_host
from trioproxy.filters.offer import TCP, Offer, to_bytes
from trioproxy.filters.relay import Relay
from trioproxy.filters.tools import Tools
from trioproxy.reactor.epoll import GONE
from trioproxy.stats.downstream import TcpStats
from trioproxy.upstream.cluster import Cluster
from trioproxy.upstream.connection import UpstreamConnection
from trioproxy.upstream.hash_tables import stable_hash
from trioproxy.upstream.lb import Wish

if TYPE_CHECKING:
    from trioproxy.upstream.host import Host


@attrs.frozen
class SourceHash:
    """A part of the connection's key."""

    source_ip: Annotated[bool, "The client's address"] = True


@attrs.frozen
class TcpProxy:
    """Connect to a cluster and let the bytes flow, half-closes included."""

    stat_prefix: Annotated[Name, "Its statistics are `tcp.<stat_prefix>.`"]
    cluster: Annotated[ClusterName | None, "The cluster"] = None
    weighted_clusters: Annotated[tuple[WeightedCluster, ...], "Or several, by weight"] = ()
    idle_timeout: Annotated[Seconds, "No byte in either direction for so long; 0: never"] = 3600.0
    max_connect_attempts: Annotated[Count, "Hosts that are tried before giving up"] = 1
    max_downstream_connection_duration: Annotated[
        Seconds | None, "A connection is closed when it is so old"
    ] = None
    hash_policy: Annotated[
        tuple[SourceHash, ...],
        "What makes the key that `lb_policy` ring_hash and maglev go by; without one: chance",
    ] = ()
    metadata_match: Annotated[
        Mapping[str, object], "The cluster's subset: what its hosts' metadata has"
    ] = attrs.Factory(dict)
    access_log: Annotated[AccessLog | None, "A line for each connection; null: none"] = None
    drain: Annotated[Rungs, "How its connections leave"] = AS_ABOVE

    def __attrs_post_init__(self) -> None:
        one_of(self, "cluster", "weighted_clusters")
        check_scalars(self.metadata_match, "metadata_match")

    def prepare(self, tools: Tools) -> "TcpProxying":
        """Return the filter."""
        return TcpProxying(self, tools)


NOTHING = Offer(TCP, "", 0.0)


class TcpProxying:
    """A `tcp_proxy` in service."""

    def __init__(self, config: TcpProxy, tools: Tools) -> None:
        self.config = config
        self._tools = tools
        self._stats = TcpStats(tools.stats, config.stat_prefix)
        self._log = tools.access_log(config.access_log) if config.access_log else None
        weighted = config.weighted_clusters or (WeightedCluster(config.cluster or "", 1),)
        self._clusters = [tools.clusters[each.name] for each in weighted]
        self._weights = [each.weight for each in weighted]
        self._idle_timeout = config.idle_timeout or inf
        self._by_source = any(policy.source_ip for policy in config.hash_policy)
        self._subset = frozenset(config.metadata_match.items())

    async def __call__(self, connection: Connection, _forward: Forward[Connection]) -> None:
        """Proxy one connection until both directions have ended, or its time has come."""
        if connection.inheritance is None:
            self._stats.downstream_cx_total.add()
        record = self._begin(connection)
        try:
            await self._proxy(connection, record)
        except ProxyError as failure:
            record.flags, record.details = failure.flag, str(failure)
        finally:
            self._note_end(connection.lifetime, record)
            record.ended = trio.current_time()
            if self._log is not None and not connection.moved:
                self._log(record)

    def refusal(self, offer: Offer) -> str:
        """Return why a connection of the previous generation cannot be had; empty if it can."""
        if offer.kind != TCP:
            return "it is no longer HTTP"
        return missing_host(self._tools.clusters, offer)

    async def _proxy(self, connection: Connection, record: Record) -> None:
        lifetime = connection.lifetime
        if self.config.max_downstream_connection_duration is not None:
            lifetime.limit(self.config.max_downstream_connection_duration)
        upstream = self._inherited(connection) or await self._connect(connection, record)
        lifetime.stand(Stand.FLOW, self._idle_timeout)
        record.upstream_host = upstream.host.name
        record.upstream_local = local_address(upstream.transport.sock)
        try:
            await self._relay(connection, upstream, record)
        except ProxyError:  # what has been cut must not be taken for the whole
            connection.transport.abort()
            upstream.close(abort=True)
            raise
        finally:
            upstream.close()

    async def _connect(self, connection: Connection, record: Record) -> UpstreamConnection:
        """Connect for as long as the client is there; raises ProxyError."""

        def hung_up(event: int) -> None:
            if event & GONE:  # FIN alone is a half-close
                connection.lifetime.abandon()

        connection.transport.on_hangup = hung_up
        try:
            return await self._connect_to_one(self._choose(), connection, record)
        finally:
            connection.transport.on_hangup = None

    def _wish(self, connection: Connection, cluster: Cluster) -> Wish:
        if not cluster.hashes or not self._by_source or not connection.remote_ip:
            return Wish(None, self._subset)
        return Wish(stable_hash(connection.remote_ip.encode()), self._subset)

    async def _connect_to_one(
        self, cluster: Cluster, connection: Connection, record: Record
    ) -> UpstreamConnection:
        """Connect to one host after another; raises the last failure."""
        wish = self._wish(connection, cluster)
        record.cluster = cluster.name
        tried: list[Host] = []
        while True:
            host = cluster.pick(tried, wish)
            tried.append(host)
            record.attempts = len(tried)
            record.upstream_host = host.name
            try:
                upstream = await cluster.connect(host, client=connection.ends)
                if host.monitor is not None:
                    host.monitor.connected()
                return upstream
            except ConnectFailed as failure:
                if host.monitor is not None:
                    host.monitor.failed()
                record.upstream_failure = str(failure)
                if len(tried) >= self.config.max_connect_attempts:
                    cluster.stats.upstream_cx_connect_attempts_exceeded.add()
                    raise

    def _inherited(self, connection: Connection) -> UpstreamConnection | None:
        inheritance = connection.inheritance
        if inheritance is None:
            return None
        cluster = self._tools.clusters[inheritance.offer.cluster]
        host = cluster.host_named(inheritance.offer.host)
        assert host is not None
        return cluster.adopt(host, inheritance.take_socket())

    def _choose(self) -> Cluster:
        if len(self._clusters) == 1:
            return self._clusters[0]
        return self._tools.rng.choices(self._clusters, self._weights)[0]

    async def _relay(
        self, connection: Connection, upstream: UpstreamConnection, record: Record
    ) -> None:
        lifetime, mine, theirs = connection.lifetime, self._stats, upstream.cluster.stats

        def progress(forth: int, back: int) -> None:
            lifetime.touch()
            if forth:
                mine.downstream_cx_rx_bytes_total.add(forth)
                theirs.upstream_cx_tx_bytes_total.add(forth)
                record.bytes_received += forth
            if back:
                mine.downstream_cx_tx_bytes_total.add(back)
                theirs.upstream_cx_rx_bytes_total.add(back)
                record.bytes_sent += back

        def describe() -> Offer:
            return Offer(TCP, "", 0.0, facts=record.facts(trio.current_time()))

        offer = connection.inheritance.offer if connection.inheritance else NOTHING
        relay = Relay(
            connection,
            upstream,
            self._tools,
            progress,
            describe,
            forth=to_bytes(offer.forth),
            back=to_bytes(offer.back),
        )
        await relay.run()

    def _begin(self, connection: Connection) -> Record:
        if connection.inheritance is not None:
            return Record.of(connection.inheritance.offer.facts, trio.current_time())
        record = Record(self._tools.wall_clock(), trio.current_time())
        record.connection_id = connection.id
        record.downstream_remote = connection.remote
        record.downstream_local = connection.local
        record.server_name = connection.server_name or None
        record.tls = connection.tls
        return record

    def _note_end(self, lifetime: Lifetime, record: Record) -> None:
        """Count and log that it was ended by its time, or because its client had left."""
        if lifetime.abandoned:
            record.flags = "DC"
        elif not lifetime.expired:
            return
        elif lifetime.worn_out:
            record.flags = "DT"
            self._stats.max_downstream_connection_duration.add()
        elif lifetime.drained:
            self._stats.downstream_cx_drain_close.add()
        else:
            self._stats.idle_timeout.add()
