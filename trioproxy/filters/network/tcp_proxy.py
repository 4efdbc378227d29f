"""`tcp_proxy`: bytes to a host of a cluster and back."""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING, Annotated, ClassVar

import attrs
import trio

from trioproxy.accesslog.record import Record
from trioproxy.config.access_log import AccessLog
from trioproxy.config.marks import ClusterName, Count, Invalid, Name
from trioproxy.config.route import WeightedCluster
from trioproxy.config.units import Seconds
from trioproxy.drain.lifetime import Stand
from trioproxy.errors import ConnectFailed, ProxyError
from trioproxy.filters.connection import local_address
from trioproxy.reactor.flow import Flow
from trioproxy.reactor.pump import Pump
from trioproxy.stats.families import TcpStats

if TYPE_CHECKING:
    from trioproxy.filters.chain import Forward
    from trioproxy.filters.connection import Connection
    from trioproxy.filters.tools import Tools
    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.connection import UpstreamConnection
    from trioproxy.upstream.host import Host
