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
        port = upstreams.get(cluster.name)
        first = cluster.endpoints[0] if cluster.endpoints else None
        if port is None and first is not None:
            port = ports.get(first.address)
        if port is not None:
            address = Address.parse(f"{LOOPBACK}:{port}")
            endpoint = attrs.evolve(first, address=address) if first else Endpoint(address)
            cluster = attrs.evolve(cluster, endpoints=(endpoint,), discovery=None)
        clusters.append(cluster)
    return attrs.evolve(config, clusters=tuple(clusters))
