from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING

import pytest
from serving import http
from upstreams import answering

from trioproxy.config.marks import Invalid
from trioproxy.config.route import Cookie, HashPolicy
from trioproxy.filters.http.hash_policy import compile_policies
from trioproxy.filters.testing import Client, exchange

if TYPE_CHECKING:
    from serving import Proxy, Serving

HEADER = HashPolicy(header="X-User")
SOURCE = HashPolicy(source_ip=True)


async def key(
    *policies: HashPolicy, headers: dict[str, str] | None = None, remote: str = "192.0.2.1"
) -> int | None:
    key_of = compile_policies(policies)
    assert key_of is not None
    return key_of(exchange(Client(), headers=headers, remote=(remote, 1)), Random(1))


async def test_a_key_is_the_same_in_every_process() -> None:
    assert await key(HEADER, headers={"x-user": "ann"}) == 50140481643443910


async def test_a_header_makes_the_key() -> None:
    ann, bob = {"x-user": "ann"}, {"x-user": "bob", "x-other": "ann"}
    assert await key(HEADER, headers=ann) == await key(HEADER, headers=ann, remote="192.0.2.2")
    assert await key(HEADER, headers=ann) != await key(HEADER, headers=bob)
    assert await key(HEADER) is None


async def test_the_source_makes_the_key() -> None:
    assert await key(SOURCE) == await key(SOURCE, headers={"x-user": "ann"})
    assert await key(SOURCE) != await key(SOURCE, remote="192.0.2.2")


async def test_policies_make_it_together() -> None:
    ann = {"x-user": "ann"}
    both = await key(HEADER, SOURCE, headers=ann)
    assert len({both, await key(HEADER, headers=ann), await key(SOURCE)}) == 3
    assert await key(HEADER, SOURCE) == await key(SOURCE), "there is nothing in the header"


async def test_a_terminal_policy_ends_the_search_where_there_is_a_part() -> None:
    terminal = HashPolicy(header="x-user", terminal=True)
    ann = {"x-user": "ann"}
    assert await key(terminal, SOURCE, headers=ann) == await key(HEADER, headers=ann)
    assert await key(terminal, SOURCE) == await key(SOURCE)


@pytest.mark.parametrize("cookies", ["sid=one", "a=b; sid=one; c", ' sid="one" ;a=b'])
async def test_a_cookie_makes_the_key(cookies: str) -> None:
    cookie = HashPolicy(cookie=Cookie("sid"))
    assert await key(cookie, headers={"cookie": cookies}) == await key(
        cookie, headers={"cookie": "sid=one"}
    )
    assert await key(cookie, headers={"cookie": cookies}) != await key(
        cookie, headers={"cookie": "sid=two"}
    )


@pytest.mark.parametrize("cookies", ["", "sid", "sid=", "asid=one", "a=sid=one"])
async def test_no_such_cookie(cookies: str) -> None:
    assert await key(HashPolicy(cookie=Cookie("sid")), headers={"cookie": cookies}) is None


@pytest.mark.parametrize(
    ("cookie", "attributes"),
    [
        (Cookie("sid", ttl=0.0), "; HttpOnly"),
        (Cookie("sid", ttl=3600.0), "; Max-Age=3600; HttpOnly"),
        (Cookie("sid", ttl=60.0, path="/app"), "; Max-Age=60; Path=/app; HttpOnly"),
    ],
)
async def test_who_has_no_cookie_is_sent_one(cookie: Cookie, attributes: str) -> None:
    key_of = compile_policies([HashPolicy(cookie=cookie)])
    assert key_of is not None
    client = Client()
    asked = exchange(client)
    first = key_of(asked, Random(1))
    await asked.respond(200)
    made = client.headers.get("set-cookie", "")
    assert re.fullmatch(f"sid=[0-9a-f]{{16}}{attributes}", made)
    again = exchange(Client(), headers={"cookie": made.partition(";")[0]})
    assert key_of(again, Random(2)) == first


async def test_a_client_on_a_unix_socket_has_no_address() -> None:
    key_of = compile_policies([SOURCE])
    assert key_of is not None
    assert key_of(exchange(Client(), remote="/run/proxy.sock"), Random(1)) is None


def test_no_policy() -> None:
    assert compile_policies([]) is None


def test_a_policy_is_of_one_kind() -> None:
    for config in ({}, {"header": "a", "source_ip": True}):
        with pytest.raises(Invalid):
            HashPolicy(**config)  # type: ignore[arg-type]


ROUTE = "hash_policy: [{cookie: {name: sid, ttl: 0s}}],"
TWO = "$origin, $origin2"


async def asked(proxy: Proxy, cookie: str = "") -> tuple[str, str]:
    """Return which host answers, and the cookie that is set."""
    client = await proxy.connect()
    sent = f"cookie: {cookie}\r\n" if cookie else ""
    await client.say(f"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{sent}\r\n".encode())
    answer = (await client.rest()).decode()
    found = re.search(r"set-cookie: ([^;]*)", answer)
    return answer[-1], found[1] if found else ""


ANSWER_1 = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1")
ANSWER_2 = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2")


@pytest.mark.parametrize("policy", ["ring_hash", "maglev"])
async def test_a_client_stays_with_its_host(serving: Serving, policy: str) -> None:
    yaml = http(route=ROUTE, cluster=f"lb_policy: {policy}", endpoints=TWO)
    async with serving(yaml) as proxy:
        one, other = proxy.upstreams["origin"], proxy.upstreams["origin2"]
        async with one.behaving(ANSWER_1), other.behaving(ANSWER_2):
            hosts = set()
            for _ in range(20):
                host, cookie = await asked(proxy)
                hosts.add(host)
                assert cookie.startswith("sid=")
                assert await asked(proxy, cookie) == (host, "")
            assert hosts == {"1", "2"}


async def test_a_cluster_that_does_not_hash_sets_no_cookie(serving: Serving) -> None:
    async with serving(http(route=ROUTE)) as proxy, proxy.origin.behaving(ANSWER_1):
        assert await asked(proxy) == ("1", "")


async def test_a_route_has_its_subset(serving: Serving) -> None:
    yaml = http(
        routes="{match: {prefix: /}, route: {cluster: app, metadata_match: {stage: canary}}}",
        cluster="lb_subset: {subset_selectors: [{keys: [stage]}]}",
        endpoints="{address: $origin, metadata: {stage: prod}},"
        " {address: $origin2, metadata: {stage: canary}}",
    )
    async with serving(yaml) as proxy, proxy.upstreams["origin2"].behaving(ANSWER_2):
        assert [await asked(proxy) for _ in range(5)] == [("2", "")] * 5
