"""The proxies that can be restarted: configuration, command and signal of each."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from benchmarks.origin import nginx_user
from benchmarks.systems import find_envoy, find_plain, make_certificate, on_path
from soak.secure import TlsPort

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TEMPLATES = Path(__file__).parent / "templates"
RESTARTER = Path(__file__).parents[1] / "scripts/hot_restarter.py"
GENERATION = (
    "-c {config} --base-id {base_id} --concurrency {workers}"
    " --drain-time-s {drain} --parent-shutdown-time-s {shutdown}"
)
TLS = "\n  tls: {certificate: certificate.pem, private_key: key.pem}"
# The restarter adds its arguments; who is not told by READY=1 is told by us: see Instance.
SCRIPT = """\
#!/bin/sh
printf %s "$NOTIFY_SOCKET" >mailbox
exec {command} "$@"
"""


@attrs.frozen
class Ports:
    """Where the proxy listens, and where the origin does."""

    http: int
    echo: int
    origin_http: int
    origin_echo: int


@attrs.frozen
class Times:
    """What each generation is told, in seconds."""

    drain: int = 5
    shutdown: int = 8


@attrs.frozen
class Scene:
    """What one instance works with: a directory, ports, times, a base id of its own."""

    directory: Path
    ports: Ports
    times: Times
    base_id: int


@attrs.frozen
class System:
    """A proxy: one process for each generation under the restarter, or a master with its reload."""

    template: Path
    find: Callable[[], Path]
    arguments: str = GENERATION
    restarter: bool = True
    signal: signal.Signals = signal.SIGHUP
    tells_ready: bool = True
    remains: str = ""  # a file that an instance leaves behind, by its base id

    @property
    def name(self) -> str:
        """The proxy's name, as its template's."""
        return self.template.stem

    def main_command(self, scene: Scene) -> Sequence[str]:
        """Return what is started once, in the scene's directory, and gets the signals."""
        if self.restarter:
            return (sys.executable, str(RESTARTER), "--", "/bin/sh", "generation")
        return self.command(scene, workers=0)

    def command(self, scene: Scene, workers: int) -> Sequence[str]:
        """Return the proxy's own command line."""
        values = {
            "config": self.template.name,
            "base_id": scene.base_id,
            "workers": workers,
            "drain": scene.times.drain,
            "shutdown": scene.times.shutdown,
        }
        return (str(self.find()), *(word.format(**values) for word in self.arguments.split()))

    def prepare(self, scene: Scene, generation: int, workers: int) -> None:
        """Write what the next generation reads: its configuration and a script with options."""
        text = self.template.read_text()
        values = {f"{name.upper()}_PORT": at for name, at in attrs.asdict(scene.ports).items()}
        values |= {"GENERATION": generation, "WORKERS": workers, "SHUTDOWN": scene.times.shutdown}
        values |= {"USER": nginx_user(), "TLS": ""}
        if isinstance(scene.ports.http, TlsPort):
            make_certificate(scene.directory)
            values["TLS"] = TLS
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        (scene.directory / self.template.name).write_text(text)
        command = shlex.join(self.command(scene, workers))
        (scene.directory / "generation").write_text(SCRIPT.format(command=command))

    def clean_up(self, scene: Scene) -> None:
        """Remove what the last generation left behind."""
        if self.remains:
            Path(self.remains.format(base_id=scene.base_id)).unlink(missing_ok=True)


SYSTEMS = {
    system.name: system
    for system in (
        System(TEMPLATES / "trioproxy.yaml", find_plain),
        System(
            TEMPLATES / "envoy.yaml",
            find_envoy,
            f"{GENERATION} --log-level warning",
            tells_ready=False,
            remains="/dev/shm/envoy_shared_memory_{base_id}0",
        ),
        System(
            TEMPLATES / "haproxy.cfg",
            on_path("haproxy"),
            "-W -f {config}",
            restarter=False,
            signal=signal.SIGUSR2,
        ),
        System(
            TEMPLATES / "nginx.conf",
            on_path("nginx"),
            "-p . -c {config} -e stderr",
            restarter=False,
        ),
    )
}
