"""The proxies that can be restarted: each one's configuration, and the command of a generation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from benchmarks.systems import find_envoy, find_trioproxy

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPLATES = Path(__file__).parent / "templates"


@attrs.frozen
class Ports:
    """Where the proxy listens, and where the origin does."""

    http: int
    tcp: int  # as `http`, through L4
    echo: int
    beacon: int  # answers with the generation's number
    origin_http: int
    origin_echo: int


@attrs.frozen
class Times:
    """What each generation is told, in seconds."""

    drain: int
    shutdown: int


@attrs.frozen
class System:
    """A proxy that restarts as Envoy does."""

    name: str
    find: Callable[[], Path]
    remains: str = ""  # what an instance leaves behind, by its base id

    def command(self, config: Path, base_id: int, epoch: int, workers: int, times: Times) -> list[str]:
        """The command line of one generation."""
        options = {
            "-c": config,
            "--base-id": base_id,
            "--restart-epoch": epoch,
            "--concurrency": workers,
            "--drain-time-s": times.drain,
            "--parent-shutdown-time-s": times.shutdown,
        }
        words = [str(word) for option in options.items() for word in option]
        return [str(self.find()), *words]

    def configure(self, config: Path, ports: Ports, generation: int) -> None:
        """Write the configuration of a generation."""
        text = (TEMPLATES / f"{self.name}.yaml").read_text()
        names = {f"{name.upper()}_PORT": port for name, port in attrs.asdict(ports).items()}
        for name, value in {**names, "GENERATION": generation}.items():
            text = text.replace(f"@{name}@", str(value))
        config.write_text(text)

    def clean_up(self, base_id: int) -> None:
        """Remove what the last generation left behind."""
        if self.remains:
            Path(self.remains.format(base_id=base_id)).unlink(missing_ok=True)


SYSTEMS = {
    system.name: system
    for system in (
        System("trioproxy", find_trioproxy),
        System("envoy", find_envoy, remains="/dev/shm/envoy_shared_memory_{base_id}0"),
    )
}
