"""Binding: who gets which socket, what is refused, what is left behind."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioproxy.config.address import Address
from trioproxy.server.inherited import Inherited, local_address, systemd_sockets
from trioproxy.server.sockets import BindFailed, Bound, Sharer, Wanted, open_sockets, serves

if TYPE_CHECKING:
    from pathlib import Path

ANY = Address.parse("127.0.0.1:0")
LOOPBACKS = ["127.0.0.1:0", "[::1]:0"]


def web(address: Address = ANY, count: int = 1) -> Wanted:
    return Wanted("web", address, backlog=100, count=count)


def port_of(wanted: Wanted) -> int:
    with open_sockets([wanted]) as sockets:
        return sockets.bound[0].local.port


@given(st.integers(1, 16), st.integers(1, 16))
def test_every_socket_is_served_and_every_worker_serves(workers: int, sockets: int) -> None:
    served = [
        (worker, index)
        for worker in range(workers)
        for index in range(sockets)
        if serves(worker, workers, index, sockets)
    ]
    assert {index for _, index in served} == set(range(sockets))
    assert {worker for worker, _ in served} == set(range(workers))
    assert len(served) == max(workers, sockets)


@pytest.mark.parametrize("address", LOOPBACKS)
def test_a_group_shares_the_port_that_was_chosen_first(address: str) -> None:
    with open_sockets([web(Address.parse(address), count=3)]) as sockets:
        assert len({bound.local for bound in sockets.bound}) == 1
        assert sockets.bound[0].local.port != 0
        assert [bound.index for bound in sockets.bound] == [0, 1, 2]
        assert {bound.address for bound in sockets.bound} == {Address.parse(address)}


def test_the_kernel_spreads_connections_over_the_group() -> None:
    with open_sockets([web(count=2)]) as sockets:
        sockets.listen()
        clients = [
            socket.create_connection(("127.0.0.1", sockets.bound[0].local.port)) for _ in range(64)
        ]
        taken = [accept_all(bound.sock) for bound in sockets.bound]
        assert sum(taken) == 64
        assert all(taken)
        for client in clients:
            client.close()


def accept_all(sock: socket.socket) -> int:
    count = 0
    while True:
        try:
            sock.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_workers_share_out_the_sockets_of_each_listener() -> None:
    unix = Wanted("db", Address.parse(f"unix:@{os.getpid()}-shared"), backlog=1, count=2)
    with open_sockets([web(count=2), unix]) as sockets:
        first, second = (sockets.served_by(worker, 2) for worker in range(2))
        assert [(bound.listener, bound.index) for bound in first] == [("web", 0), ("db", 0)]
        assert [(bound.listener, bound.index) for bound in second] == [("web", 1), ("db", 0)]


def test_a_port_of_our_like_is_taken_too() -> None:
    with open_sockets([web(count=2)]) as first:
        first.listen()
        address = first.bound[0].local
        with pytest.raises(BindFailed) as failure, open_sockets([web(address, count=2)]):
            pass
        assert str(failure.value) == f"web: cannot bind {address}: Address already in use"


@pytest.mark.parametrize(
    ("address", "hint"), [("127.0.0.1:80", "CAP_NET_BIND_SERVICE"), ("unix:/run/x", "denied")]
)
def test_who_may_not_bind_is_told_what_it_takes(address: str, hint: str) -> None:
    error = PermissionError(errno.EACCES, "Permission denied")
    assert str(BindFailed.of("web", Address.parse(address), error)).endswith(hint)


def test_when_one_cannot_be_bound_none_stays_bound() -> None:
    port = port_of(web())
    wanted = [web(Address.parse(f"127.0.0.1:{port}")), web(Address.parse("192.0.2.1:1"))]
    with pytest.raises(BindFailed, match=r"192\.0\.2\.1:1"), open_sockets(wanted):
        pass
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_nobody_is_let_in_before_listen_nor_after_refuse() -> None:
    with open_sockets([web()]) as sockets:
        where = ("127.0.0.1", sockets.bound[0].local.port)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(where)
        sockets.listen()
        socket.create_connection(where).close()
        sockets.refuse()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(where)


def test_sockets_that_never_listened_may_be_refused_on() -> None:
    with open_sockets([web()]) as sockets:
        sockets.refuse()


def test_v6_leaves_v4_alone() -> None:
    with open_sockets([web(Address.parse("0.0.0.0:0"))]) as sockets:
        port = sockets.bound[0].local.port
        with open_sockets([web(Address.parse(f"[::]:{port}"))]):
            pass


def test_an_accepted_connection_does_not_wait_for_more_to_send() -> None:
    with open_sockets([web()]) as sockets:
        sockets.listen()
        with socket.create_connection(("127.0.0.1", sockets.bound[0].local.port)):
            accepted, _ = sockets.bound[0].sock.accept()
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            accepted.close()


@pytest.mark.parametrize("address", [*LOOPBACKS, "unix:@{pid}", "unix:{tmp}/s"])
def test_an_inherited_socket_is_taken_by_address(address: str, tmp_path: Path) -> None:
    wanted = web(Address.parse(address.format(pid=os.getpid(), tmp=tmp_path)))
    with open_sockets([wanted]) as first:
        theirs = inherited(first.bound[0])
        with open_sockets([web(first.bound[0].local, count=2)], [theirs]) as second:
            assert [bound.sock for bound in second.bound] == [theirs.sock]
            second.refuse()
        first.listen()  # it was not shut down, for it is the parent's, too
        assert all(path.exists() for path in tmp_path.iterdir())
    assert theirs.sock.fileno() == -1


def inherited(bound: Bound, *, lent: bool = False) -> Inherited:
    return Inherited(bound.listener, bound.address, bound.sock.dup(), lent)


def test_port_0_is_taken_by_name() -> None:
    other = attrs.evolve(web(), listener="other")
    with open_sockets([web(), other]) as first:
        passed = [inherited(bound) for bound in first.bound]
        with open_sockets([other, web()], passed) as second:
            assert [bound.sock for bound in second.bound] == [each.sock for each in passed[::-1]]


def test_what_a_parent_shared_is_ours_when_it_is_gone(tmp_path: Path) -> None:
    wanted = web(Address.parse(f"unix:{tmp_path}/s"))
    with open_sockets([wanted]) as first:
        first.bound[0].sharers.add(Sharer.CHILD)
        with open_sockets([wanted], [inherited(first.bound[0])]) as second:
            second.bound[0].sharers.clear()
        assert list(tmp_path.iterdir()) == []


def test_what_systemd_lent_is_never_shut_nor_unlinked(tmp_path: Path) -> None:
    wanted = web(Address.parse(f"unix:{tmp_path}/s"))
    with open_sockets([wanted]) as systemd:
        systemd.listen()
        with open_sockets([wanted], [inherited(systemd.bound[0], lent=True)]) as sockets:
            assert not sockets.bound[0].sharers
            sockets.refuse()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))


def test_an_inherited_file_gets_the_mode_that_is_wanted_now(tmp_path: Path) -> None:
    wanted = web(Address.parse(f"unix:{tmp_path}/s"))
    with open_sockets([wanted]) as first:
        stricter = attrs.evolve(wanted, mode="600")
        with open_sockets([stricter], [inherited(first.bound[0])]) as second:
            assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660
            second.listen()
            assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
            first.listen()
            assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize("address", [*LOOPBACKS, "unix:{tmp}/s"])
def test_a_withdrawn_socket_comes_back(address: str, tmp_path: Path) -> None:
    with open_sockets([web(Address.parse(address.format(tmp=tmp_path)))]) as sockets:
        sockets.listen()
        (bound,) = sockets.bound
        for _ in range(2):
            check_lets_in(bound)
            bound.withdraw()
            bound.withdraw()
            with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
                check_lets_in(bound)
            bound.restore()
        check_lets_in(bound)


def check_lets_in(bound: Bound) -> None:
    with socket.socket(bound.address.family) as client:
        client.connect(bound.local.sockaddr)
        with bound.sock.accept()[0] as served:
            served.sendall(b"hello")
            assert client.recv(100) == b"hello"


def test_an_inherited_socket_of_another_address_or_kind_is_not_taken() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as other,
    ):
        datagrams.bind(("127.7.7.7", 0))  # where nobody else takes ports
        wanted = web(local_address(datagrams))
        passed = [Inherited("web", local_address(each), each, False) for each in (datagrams, other)]
        with open_sockets([wanted], passed) as sockets:
            assert sockets.bound[0].sock not in (datagrams, other)


def test_beside_somebody_of_our_like_the_port_is_shared() -> None:
    with open_sockets([web(count=2)]) as first:
        first.listen()
        with open_sockets([web(first.bound[0].local)], beside=True) as second:
            second.listen()


def test_systemd_means_one_process_only() -> None:
    assert systemd_sockets({}, 1) == []
    assert systemd_sockets({"LISTEN_PID": "2", "LISTEN_FDS": "1"}, 1) == []
