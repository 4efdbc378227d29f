from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from trioproxy.config.options import Options
from trioproxy.config.server import Config, Drain, Shutdown

FILE = Path("proxy.yaml")


def test_what_the_command_line_says_wins_over_the_file() -> None:
    config = Config(
        drain=Drain(time=1.0, strategy="immediate", parent_shutdown_time=2.0),
        shutdown=Shutdown(3.0, lame_duck=4.0),
    )
    assert Options(FILE).over(config) == config
    options = Options(
        FILE,
        drain_time_s=0.0,
        drain_strategy="gradual",
        parent_shutdown_time_s=6.0,
        shutdown_time_s=0.0,
    )
    assert options.over(config) == attrs.evolve(
        config,
        drain=Drain(time=0.0, strategy="gradual", parent_shutdown_time=6.0),
        shutdown=Shutdown(0.0, lame_duck=4.0),
    )


def test_generations_of_one_base_id_meet_at_one_address() -> None:
    assert str(Options(FILE).control_address(0)) == "unix:@trioproxy_domain_socket_0"
    assert str(Options(FILE, socket_path="/run/p").control_address(7)) == "unix:/run/p_7"


@pytest.mark.parametrize("path", ["", "@", "/" + "x" * 106, "@" + "x" * 105])
def test_a_socket_path_must_be_usable(path: str) -> None:
    """A11: a path that is too long is refused, its suffix counted."""
    with pytest.raises(ValueError, match="--socket-path"):
        Options(FILE, socket_path=path)


def test_a_socket_path_leaves_room_for_any_dynamic_base_id() -> None:
    path = "/" + "x" * 100
    assert Options(FILE, socket_path=path)
    with pytest.raises(ValueError, match="_4294967295 appended"):
        Options(FILE, socket_path=path, use_dynamic_base_id=True)


@pytest.mark.parametrize("epoch", [1, "auto"])
def test_only_the_first_generation_chooses_a_dynamic_base_id(epoch: int) -> None:
    """A04."""
    with pytest.raises(ValueError, match="with --use-dynamic-base-id"):
        Options(FILE, restart_epoch=epoch, use_dynamic_base_id=True)


def test_there_is_a_configuration() -> None:
    """A03."""
    with pytest.raises(ValueError, match="expected --config-path or --config-yaml"):
        Options()
