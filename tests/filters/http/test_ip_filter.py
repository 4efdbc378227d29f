from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from planes import open_proxy

from trioproxy.config.marks import Invalid
from trioproxy.filters.http.ip_filter import IpFilter, verdict
from trioproxy.filters.testing import Client, Upstream, ask, exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.filters.http.tools import HttpTools

OURS = IpFilter(allow=("10.0.0.0/8", "2001:db8::/32"), deny=("10.6.0.0/16", "10.0.0.1"))


@pytest.mark.parametrize(
    ("config", "address", "admitted"),
    [
        (OURS, "10.1.2.3", True),
        (OURS, "::ffff:10.1.2.3", True),
        (OURS, "2001:db8::7", True),
        (OURS, "10.6.6.6", False),
        (OURS, "10.0.0.1", False),
        (OURS, "192.0.2.1", False),
        (OURS, "2001:db9::7", False),
        (OURS, "", False),
        (OURS, "not an address", False),
        (IpFilter(deny=("192.0.2.0/24",)), "192.0.2.1", False),
        (IpFilter(deny=("192.0.2.0/24",)), "192.0.3.1", True),
        (IpFilter(deny=("192.0.2.0/24",)), "", True),
    ],
)
def test_the_verdict(config: IpFilter, address: str, *, admitted: bool) -> None:
    assert verdict(config)(address) is admitted


async def test_who_is_denied_goes_nowhere(
    http_tools: HttpTools, counted: Callable[[str], int]
) -> None:
    listed = OURS.prepare(http_tools)
    assert (await ask(listed, remote=("10.1.1.1", 1))).status == 200
    client, upstream = Client(), Upstream()
    asked = exchange(client, remote=("192.0.2.1", 1))
    await listed(asked, upstream)
    assert (client.status, client.body, upstream.was_asked) == (403, b"access denied\n", False)
    assert asked.record.details == "ip_filter_denied"
    assert counted("http.web.ip_filter.allowed") == counted("http.web.ip_filter.denied") == 1


async def test_behind_a_trusted_proxy_its_client_counts(http_tools: HttpTools) -> None:
    listed = IpFilter(allow=("10.0.0.0/8",), xff_num_trusted_hops=1).prepare(http_tools)
    behind = {"x-forwarded-for": "10.1.1.1, 192.0.2.1"}
    forged = {"x-forwarded-for": "10.1.1.1, 198.51.100.1, 192.0.2.1"}
    assert (await ask(listed, headers=behind)).status == 200
    assert (await ask(listed, headers=forged)).status == 403


@pytest.mark.parametrize(
    ("lists", "field", "reason"),
    [
        ({}, None, "expected allow or deny"),
        ({"allow": ("10.0.0.1/8",)}, "allow", r"host bits set \(did you mean 10.0.0.0/8\?\)"),
        ({"deny": ("10.0.0.256",)}, "deny", "not a network"),
    ],
)
def test_lists_that_make_no_sense_are_refused(
    lists: dict[str, tuple[str, ...]], field: str | None, reason: str
) -> None:
    with pytest.raises(Invalid, match=reason) as refused:
        IpFilter(**lists)
    assert refused.value.field == field


async def test_in_a_proxy() -> None:
    config = """
        listeners:
        - name: web
          address: 127.0.0.1:0
          filters:
          - http_connection_manager:
              stat_prefix: web
              routes: [{match: {prefix: /}, direct_response: {status: 200}}]
              http_filters:
              - ip_filter: {deny: [198.51.100.0/24], xff_num_trusted_hops: 1}
              - router:
    """
    async with open_proxy(config) as proxy:
        named = "GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {}\r\n"
        assert (await proxy.ask(named.format("198.51.100.7"))).startswith("HTTP/1.1 403")
        assert (await proxy.ask(named.format("192.0.2.7"))).startswith("HTTP/1.1 200")
        assert (await proxy.ask()).startswith("HTTP/1.1 200")
