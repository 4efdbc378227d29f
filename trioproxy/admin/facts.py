"""The endpoints that say what this instance is: readiness, versions, options, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy import __version__
from trioproxy.admin.instance import State
from trioproxy.admin.memory import measure
from trioproxy.admin.responses import as_json, text
from trioproxy.admin.version import BUILD, hot_restart_version
from trioproxy.stats.text import number

if TYPE_CHECKING:
    from starlette.responses import Response

    from trioproxy.admin.instance import Instance
    from trioproxy.admin.query import Query
    from trioproxy.admin.view import View

VERSION = f"trioproxy/{__version__}/Clean/RELEASE/OpenSSL"
"""Envoy's five parts: revision, version, state of the sources, kind of build, TLS library."""


def ready(view: View, query: Query) -> Response:
    """Say the state, as a status too: 200 is LIVE, all else is 503; then what is waited for."""
    state = view.instance.state
    waiting = "".join(f"{name}\n" for name in targets(view.instance))
    return text(f"{state.name}\n{waiting}", 200 if state is State.LIVE else 503)


def restart_version(view: View, query: Query) -> Response:
    """Say what a next generation must be like."""
    return text(version_of(view.instance))


def server_info(view: View, query: Query) -> Response:
    """Say what runs here, since when, and with which options."""
    instance = view.instance
    return as_json(
        {
            "version": VERSION,
            "build": BUILD,
            "state": instance.state.name,
            "uptime_current_epoch": seconds(int(instance.uptime)),
            "uptime_all_epochs": seconds(int(instance.uptime_all_epochs)),
            "hot_restart_version": version_of(instance),
            "command_line_options": command_line(instance),
            "node": {"user_agent_name": "trioproxy", "user_agent_version": __version__},
            "hot_restart_initializing": False,
        }
    )


def version_of(instance: Instance) -> str:
    """Return the hot restart version, or that there is none."""
    return "disabled" if instance.options.disable_hot_restart else hot_restart_version()


def command_line(instance: Instance) -> dict[str, object]:
    """Return the options in effect, under Envoy's names; the text of a configuration is left out.

    It may hold secrets, and `/config_dump` shows it without.
    """
    options, config = instance.options, instance.config
    return {
        "base_id": str(instance.base_id),
        "use_dynamic_base_id": options.use_dynamic_base_id,
        "base_id_path": str(options.base_id_path or ""),
        "concurrency": options.concurrency,
        "config_path": str(options.config_path or ""),
        "admin_address_path": str(options.admin_address_path or ""),
        "log_level": options.log_level,
        "component_log_level": ",".join(f"{n}:{v}" for n, v in options.component_log_level),
        "log_format": options.log_format or "",
        "log_path": str(options.log_path or ""),
        "mode": options.mode.title(),
        "disable_hot_restart": options.disable_hot_restart,
        "restart_epoch": instance.epoch,
        "drain_time": seconds(config.drain.time),
        "drain_strategy": config.drain.strategy.title(),
        "parent_shutdown_time": seconds(config.drain.parent_shutdown_time),
        "shutdown_time": seconds(config.shutdown.time),
        "socket_path": options.socket_path,
        "socket_mode": options.socket_mode,
        "skip_hot_restart_on_no_parent": options.skip_hot_restart_on_no_parent,
    }


def seconds(duration: float) -> str:
    """Return a duration as Envoy writes it in JSON: always in seconds."""
    return f"{number(duration)}s"


def memory(view: View, query: Query) -> Response:
    """Say how much memory the processes take; a Python heap has no pages to report as free."""
    measured = measure()
    return as_json(
        {
            "allocated": str(measured.allocated),
            "heap_size": str(measured.heap),
            "pageheap_unmapped": "0",
            "pageheap_free": "0",
            "total_thread_cache": "0",
            "total_physical_bytes": str(measured.physical),
        }
    )


def runtime(view: View, query: Query) -> Response:
    """List runtime overrides: there is no such thing here."""
    return as_json({"layers": [], "entries": {}})


def init_dump(view: View, query: Query) -> Response:
    """List what start-up waits for: clusters, each with what is missing to it."""
    waiting = targets(view.instance)
    dump = {"name": "init manager Cluster Manager", "target_names": waiting}
    return as_json({"unready_targets_dumps": [dump]} if waiting else {})


def targets(instance: Instance) -> list[str]:
    """Return what start-up waits for, and why."""
    return [f"cluster {name}: {missing}" for name, missing in instance.unready().items()]


def contention(view: View, query: Query) -> Response:
    """Say how much processes waited for each other: they share no locks while they serve."""
    return text("Mutex contention tracing is not enabled.\n")
