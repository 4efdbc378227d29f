"""The configuration under test: as it was written, but for where it listens and leads to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from trioproxy.config.address import Address
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.loader import load
from trioproxy.filters.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trioproxy.config.cluster import Cluster
    from trioproxy.config.listener import Listener
    from trioproxy.config.server import Config

LOOPBACK = "127.0.0.1"


def place_of(listener: Listener) -> Address | str:
    """Return what two generations know a listener by: its address, its name where any will do."""
    return listener.name if listener.address.free else listener.address


def read(source: Path | str) -> Config:
    """Read a file, or YAML text, with the filters that it names; raises ConfigError."""
    path, text = (source, None) if isinstance(source, Path) else (None, source)
    loaded = load(path, text, REGISTRY)
    folders = map(str, loaded.config.import_path)
    sys.path[:0] = [each for each in folders if each not in sys.path]
    loaded.verify()
    return loaded.config


def aimed(config: Config, ports: Mapping[Address, int], upstreams: Mapping[str, int]) -> Config:
    """Return a configuration whose clusters lead to the ports of this test."""
    unknown = set(upstreams) - {each.name for each in config.clusters}
    if unknown:
        raise ValueError(f"no cluster is called {', '.join(sorted(unknown))}")
    clusters = []
    for cluster in config.clusters:
        port = stand_in(cluster, ports, upstreams)
        clusters.append(cluster if port is None else led_to(cluster, port))
    return attrs.evolve(config, clusters=tuple(clusters))


def stand_in(
    cluster: Cluster, ports: Mapping[Address, int], upstreams: Mapping[str, int]
) -> int | None:
    """Return the port that stands in for the hosts of a cluster, if one does."""
    if cluster.name in upstreams or not cluster.endpoints:
        return upstreams.get(cluster.name)
    return ports.get(cluster.endpoints[0].address)


def led_to(cluster: Cluster, port: int) -> Cluster:
    """Return a cluster whose one host is at that port; what else is said of the first stays."""
    address = Address.parse(f"{LOOPBACK}:{port}")
    first = cluster.endpoints[0] if cluster.endpoints else Endpoint(address)
    endpoint = attrs.evolve(first, address=address)
    return attrs.evolve(cluster, endpoints=(endpoint,), discovery=None)
