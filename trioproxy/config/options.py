"""What the command line says, frozen and checked; names and defaults are Envoy's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from trioproxy.config.address import Address

if TYPE_CHECKING:
    from pathlib import Path

    from trioproxy.config.server import Config

LARGEST = 2**32 - 1


@attrs.frozen
class Options:
    """The options; None is 'not said': the configuration decides. Times are in seconds.

    Raises ValueError where options do not fit each other.
    """

    config_path: Path | None = None
    config_yaml: str | None = None
    mode: Literal["serve", "validate"] = "serve"
    concurrency: int = 1
    base_id: int = 0
    use_dynamic_base_id: bool = False
    base_id_path: Path | None = None
    restart_epoch: int | Literal["auto"] = 0
    drain_time_s: float | None = None
    drain_strategy: Literal["gradual", "immediate"] | None = None
    parent_shutdown_time_s: float | None = None
    shutdown_time_s: float | None = None
    socket_path: str = "@trioproxy_domain_socket"
    socket_mode: int = 0o600
    disable_hot_restart: bool = False
    skip_hot_restart_on_no_parent: bool = False
    admin_address_path: Path | None = None
    log_level: str = "info"
    component_log_level: tuple[tuple[str, str], ...] = ()
    log_path: Path | None = None
    log_format: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.config_path is None and self.config_yaml is None:
            raise ValueError("no configuration: expected --config-path or --config-yaml, or both")
        if self.use_dynamic_base_id and self.restart_epoch != 0:
            raise ValueError(
                f"cannot use --restart-epoch={self.restart_epoch} with --use-dynamic-base-id:"
                " the first generation chooses a dynamic base id, later ones are told it"
            )
        # The longest base id stands for all, so that a dynamic one fits, too.
        self.control_address(LARGEST if self.use_dynamic_base_id else self.base_id)

    @property
    def source(self) -> str:
        """What to call the configuration."""
        return str(self.config_path or "--config-yaml")

    def control_address(self, base_id: int) -> Address:
        """Return where the generations of a base id meet; raises ValueError if it is too long."""
        if not self.socket_path.strip("@"):
            raise ValueError(f"--socket-path: expected a path, found {self.socket_path!r}")
        try:
            return Address.parse(f"unix:{self.socket_path}_{base_id}")
        except ValueError as error:
            raise ValueError(f"--socket-path, with _{base_id} appended: {error}") from None

    def over(self, config: Config) -> Config:
        """Return `config` with what the command line says instead of the file."""
        drain, shutdown = config.drain, config.shutdown
        return attrs.evolve(
            config,
            drain=attrs.evolve(
                drain,
                time=said(self.drain_time_s, drain.time),
                strategy=self.drain_strategy or drain.strategy,
                parent_shutdown_time=said(self.parent_shutdown_time_s, drain.parent_shutdown_time),
            ),
            shutdown=attrs.evolve(shutdown, time=said(self.shutdown_time_s, shutdown.time)),
        )


def said(option: float | None, otherwise: float) -> float:
    """Return the option if there is one; 0 is one."""
    return otherwise if option is None else option
