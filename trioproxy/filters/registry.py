"""Every filter that a configuration can name."""

from __future__ import annotations

from trioproxy.config.registry import Registry
from trioproxy.filters.http.router import Router
from trioproxy.filters.network.http_connection_manager import HttpConnectionManager
from trioproxy.filters.network.tcp_proxy import TcpProxy

REGISTRY = Registry(
    network={"http_connection_manager": HttpConnectionManager, "tcp_proxy": TcpProxy},
    http={"router": Router},
)
