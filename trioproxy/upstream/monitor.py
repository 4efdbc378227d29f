"""How a host fares in the eyes of one worker: what main needs to tell whether it stands out."""

from __future__ import annotations

import enum
from functools import partial
from typing import TYPE_CHECKING

from trioproxy.stats.health import HostOutcomes
from trioproxy.upstream.figures import HostFigures

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.config.cluster import Cluster
    from trioproxy.config.outlier_detection import OutlierDetection
    from trioproxy.upstream.tools import ClusterTools


class EjectionType(enum.Enum):
    """By what a host stands out; values are Envoy's names."""

    CONSECUTIVE_5XX = "CONSECUTIVE_5XX"
    CONSECUTIVE_GATEWAY_FAILURE = "CONSECUTIVE_GATEWAY_FAILURE"
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE = "CONSECUTIVE_LOCAL_ORIGIN_FAILURE"
    SUCCESS_RATE = "SUCCESS_RATE"
    SUCCESS_RATE_LOCAL_ORIGIN = "SUCCESS_RATE_LOCAL_ORIGIN"
    FAILURE_PERCENTAGE = "FAILURE_PERCENTAGE"
    FAILURE_PERCENTAGE_LOCAL_ORIGIN = "FAILURE_PERCENTAGE_LOCAL_ORIGIN"


class Monitor:
    """Counts what came of each try at a host; `accuse` is called where too many failed in a row.

    A try ends in one call: the host answered, or there was no answer, which is of local origin.
    """

    __slots__ = ("_5xx", "_accuse", "_config", "_gateway", "_local", "_outcomes", "_split")

    def __init__(
        self,
        config: OutlierDetection,
        outcomes: HostOutcomes,
        accuse: Callable[[EjectionType], None],
    ) -> None:
        self._config = config
        self._outcomes = outcomes
        self._accuse = accuse
        self._split = config.split_external_local_origin_errors
        self.reset()

    def __repr__(self) -> str:
        return f"<Monitor {self._5xx} 5xx, {self._gateway} gateway, {self._local} local in a row>"

    def reset(self) -> None:
        """Begin a new row."""
        self._5xx = self._gateway = self._local = 0

    def connected(self) -> None:
        """A connection stands, which is all there is to see of what goes through it."""
        if self._split:
            self._reached()
        else:
            self._succeeded()

    def answered(self, status: int) -> None:
        """The host answered."""
        if self._split:
            self._reached()
        if status < 500:
            self._succeeded()
        else:
            self._erred(gateway=502 <= status <= 504)

    def failed(self) -> None:
        """It did not: no connection, no answer in time, or the connection was cut."""
        if not self._split:
            return self._erred(gateway=True)
        self._outcomes.local_failure.add()
        self._local += 1
        if self._local >= self._config.consecutive_local_origin_failure:
            self._local = 0
            self._accuse(EjectionType.CONSECUTIVE_LOCAL_ORIGIN_FAILURE)

    def _reached(self) -> None:
        self._local = 0
        self._outcomes.local_success.add()

    def _succeeded(self) -> None:
        self._5xx = self._gateway = 0
        self._outcomes.success.add()

    def _erred(self, *, gateway: bool) -> None:
        self._outcomes.failure.add()
        self._gateway = self._gateway + 1 if gateway else 0
        if self._gateway >= self._config.consecutive_gateway_failure:
            self._gateway = 0
            self._accuse(EjectionType.CONSECUTIVE_GATEWAY_FAILURE)
        self._5xx += 1
        if self._5xx >= self._config.consecutive_5xx:
            self._5xx = 0
            self._accuse(EjectionType.CONSECUTIVE_5XX)


class Monitors:
    """Makes the monitors of a cluster's hosts, where outliers are looked for."""

    def __init__(self, cluster: Cluster, tools: ClusterTools) -> None:
        self._cluster = cluster.name
        self._config = cluster.outlier_detection
        self._accuse = tools.accuse
        self._outcomes = None
        if self._config is not None:
            self._outcomes = HostFigures(tools.stats, cluster.name, HostOutcomes)

    def of(self, key: str) -> Monitor | None:
        """Return the monitor of a new host, or None."""
        if self._config is None or self._outcomes is None:
            return None
        accuse = partial(self._accuse, self._cluster, key)
        return Monitor(self._config, self._outcomes.of(key), accuse)
