"""What the configuration and the command line ask to be bound."""

from __future__ import annotations

import os
import random
import socket
import stat
from typing import TYPE_CHECKING

import attrs
import pytest

from trioproxy.config.address import Address
from trioproxy.config.listener import Listener
from trioproxy.config.options import Options
from trioproxy.config.server import Admin, Config
from trioproxy.server.sockets import BindFailed
from trioproxy.server.wanted import (
    BaseIdTaken,
    open_control,
    wanted_by_admin,
    wanted_by_listeners,
)

if TYPE_CHECKING:
    from pathlib import Path

ANY = Address.parse("127.0.0.1:0")


@pytest.fixture
def options() -> Options:
    return Options(config_yaml="", socket_path=f"@test-wanted-{os.getpid()}")


def test_a_listener_asks_for_a_socket_per_worker() -> None:
    config = Config((Listener("web", ANY, filters=(object(),), backlog=7, mode="600"),))
    (want,) = wanted_by_listeners(config, workers=3)
    assert (want.listener, want.address, want.count) == ("web", ANY, 3)
    assert (want.backlog, want.mode) == (7, "600")


def test_admin_asks_for_one_if_there_is_an_admin() -> None:
    assert wanted_by_admin(Config()) == []
    (want,) = wanted_by_admin(Config(admin=Admin(ANY, mode="600")))
    assert (want.listener, want.count, want.mode) == ("admin", 1, "600")


def test_a_base_id_is_held_once(options: Options) -> None:
    """A10: the second is told what to do."""
    rng = random.Random(1)
    with open_control(options, rng) as (base_id, sockets):
        assert base_id == 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as child:
            child.connect(options.control_address(0).sockaddr)
        assert len(sockets.bound) == 1
        with pytest.raises(BaseIdTaken, match="--base-id 0"), open_control(options, rng):
            pass
    with open_control(options, rng):
        pass


def test_a_path_has_the_mode_that_was_asked_for(options: Options, tmp_path: Path) -> None:
    options = attrs.evolve(options, socket_path=str(tmp_path / "control"), socket_mode=0o640)
    with open_control(options, random.Random(1)):
        assert stat.S_IMODE((tmp_path / "control_0").stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_not_blamed_on_the_base_id(options: Options) -> None:
    options = attrs.evolve(options, socket_path="/nonexistent/control")
    with pytest.raises(BindFailed, match="No such file") as failure:
        open_control(options, random.Random(1)).__enter__()
    assert not isinstance(failure.value, BaseIdTaken)


def test_a_dynamic_base_id_is_one_that_is_free(options: Options) -> None:
    options = attrs.evolve(options, use_dynamic_base_id=True)
    with (
        open_control(options, random.Random(1)) as (first, _),
        open_control(options, random.Random(1)) as (second, _),
    ):
        assert first != second


def test_without_hot_restart_there_is_nothing_to_hold(options: Options) -> None:
    options = attrs.evolve(options, disable_hot_restart=True)
    with open_control(options, random.Random(1)), open_control(options, random.Random(1)) as held:
        assert held[1].bound == ()
