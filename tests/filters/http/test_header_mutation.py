from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from planes import open_proxy

from trioproxy.config.headers import HeaderOperations
from trioproxy.config.marks import Invalid
from trioproxy.filters.http.header_mutation import HeaderMutation
from trioproxy.filters.testing import Upstream, ask

if TYPE_CHECKING:
    from trioproxy.filters.http.tools import HttpTools


async def test_both_ways(http_tools: HttpTools) -> None:
    config = HeaderMutation(
        request_headers=HeaderOperations(set={"x-tenant": "a"}, remove=("cookie",)),
        response_headers=HeaderOperations(add={"x-by": "us"}, remove=("server",)),
    )
    upstream = Upstream(headers={"server": "old", "x-by": "app"})
    sent = {"cookie": "secret", "x-tenant": "forged", "accept": "*/*"}
    client = await ask(config.prepare(http_tools), upstream, headers=sent)
    assert list(upstream.request.headers) == [("accept", "*/*"), ("x-tenant", "a")]
    assert list(client.headers) == [("x-by", "app"), ("x-by", "us")]


async def test_one_way_alone(http_tools: HttpTools) -> None:
    config = HeaderMutation(response_headers=HeaderOperations(set={"x-was": "%REQ(X-ID)%"}))
    upstream = Upstream()
    client = await ask(config.prepare(http_tools), upstream, headers={"x-id": "7"})
    assert list(upstream.request.headers) == [("x-id", "7")]
    assert list(client.headers) == [("x-was", "7")]


def test_an_unknown_operator_is_refused_where_it_stands() -> None:
    with pytest.raises(Invalid, match="unknown operator %NOPE%") as refused:
        HeaderMutation(response_headers=HeaderOperations(set={"x-a": "%NOPE%"}))
    assert refused.value.field == "set"


async def test_in_a_proxy_the_place_in_the_chain_counts() -> None:
    """What stands before a filter sees the request as it came, and the response last."""
    async with open_proxy(
        """
        listeners:
        - name: web
          address: 127.0.0.1:0
          filters:
          - http_connection_manager:
              stat_prefix: web
              routes: [{match: {prefix: /}, direct_response: {status: 200}}]
              http_filters:
              - header_mutation: {response_headers: {add: {x-order: first}}}
              - header_mutation: {response_headers: {add: {x-order: second}}}
              - router: {}
        """
    ) as proxy:
        answer = await proxy.ask()
        assert answer.index("x-order: second") < answer.index("x-order: first")
