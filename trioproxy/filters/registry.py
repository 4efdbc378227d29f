"""Every filter that a configuration can name."""

from __future__ import annotations

from trioproxy.config.registry import Registry
from trioproxy.filters.http.fault import Fault
from trioproxy.filters.http.header_mutation import HeaderMutation
from trioproxy.filters.http.health_check import HealthCheck
from trioproxy.filters.http.ip_filter import IpFilter
from trioproxy.filters.http.local_rate_limit import LocalRateLimit
from trioproxy.filters.http.python import PythonHttpFilter
from trioproxy.filters.http.router import Router
from trioproxy.filters.listener.proxy_protocol import ProxyProtocol
from trioproxy.filters.network.http_connection_manager import HttpConnectionManager
from trioproxy.filters.network.python import PythonNetworkFilter
from trioproxy.filters.network.tcp_proxy import TcpProxy

REGISTRY = Registry(
    network={
        "http_connection_manager": HttpConnectionManager,
        "python": PythonNetworkFilter,
        "tcp_proxy": TcpProxy,
    },
    listener={"proxy_protocol": ProxyProtocol},
    http={
        "fault": Fault,
        "header_mutation": HeaderMutation,
        "health_check": HealthCheck,
        "ip_filter": IpFilter,
        "local_rate_limit": LocalRateLimit,
        "python": PythonHttpFilter,
        "router": Router,
    },
)
