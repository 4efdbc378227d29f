"""What the command line says about the processes, beyond the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioproxy.config.address import Address

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Settings:
    """How this generation runs."""

    concurrency: int = 1
    restart_epoch: int = 0
    base_id: int = 0
    hot_restart: bool = True
    socket_path: str = "@trioproxy_domain_socket"
    socket_mode: str = "600"
    shutdown_time: float = 25.0  # seconds for what is in flight after SIGTERM
    admin_address_path: Path | None = None
    base_id_path: Path | None = None

    @property
    def control_address(self) -> Address:
        """Where the next generation finds this one; raises ValueError for too long a path."""
        return Address.parse(f"unix:{self.socket_path}_{self.base_id}")
