"""The endpoint `/config_dump`: the configuration in effect, without its secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.admin.query import BadQuery, pattern
from trioproxy.admin.redaction import redacted
from trioproxy.admin.responses import as_json
from trioproxy.config.writer import write_part
from trioproxy.filters.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.responses import Response

    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View
    from trioproxy.config.cluster import Cluster
    from trioproxy.config.listener import Listener
    from trioproxy.config.nodes import Plain
    from trioproxy.config.server import Config

TYPE = "type.googleapis.com/envoy.admin.v3."
"""How Envoy names the parts of its dump; what is in the parts is trioproxy's own."""


def config_dump(view: View, query: Query) -> Response:
    """Show the configuration, or the items of one `resource`, those that `name_regex` matches."""
    resources = resources_of(view.instance.config, query)
    if "resource" not in query:
        return as_json({"configs": parts(view.instance.config, resources)})
    if query["resource"] not in resources:
        raise BadQuery(f"resource={query['resource']}: expected {' or '.join(resources)}")
    return as_json({"configs": resources[query["resource"]]})


def resources_of(config: Config, query: Query) -> Mapping[str, list[Plain]]:
    """Return what a dump lists, by the name of the list; raises BadQuery."""
    return {
        "static_clusters": items("cluster", config.clusters, query),
        "static_listeners": items("listener", config.listeners, query),
    }


def items(key: str, made: Iterable[Cluster | Listener], query: Query) -> list[Plain]:
    """Return each item whose name the query wants, as it was read; raises BadQuery."""
    wanted = pattern(query, "name_regex")
    return [
        {key: redacted(write_part(each, REGISTRY))}
        for each in made
        if wanted is None or wanted.fullmatch(each.name)
    ]


def parts(config: Config, resources: Mapping[str, list[Plain]]) -> list[Plain]:
    """Return the six parts of a dump; three of them never have any content."""
    clusters, listeners = resources["static_clusters"], resources["static_listeners"]
    whole = redacted(write_part(config, REGISTRY))
    return [
        {"@type": f"{TYPE}BootstrapConfigDump", "bootstrap": whole},
        {"@type": f"{TYPE}ClustersConfigDump", "static_clusters": clusters},
        {"@type": f"{TYPE}ListenersConfigDump", "static_listeners": listeners},
        {"@type": f"{TYPE}ScopedRoutesConfigDump"},
        {"@type": f"{TYPE}RoutesConfigDump"},
        {"@type": f"{TYPE}SecretsConfigDump"},
    ]
