from __future__ import annotations

import pytest

from trioproxy.config.address import Address
from trioproxy.config.endpoint import Endpoint
from trioproxy.config.filter_chain import FilterChainMatch
from trioproxy.config.listener import FilterChain, Listener
from trioproxy.config.marks import Invalid
from trioproxy.config.retry import Backoff, Retry
from trioproxy.config.server import Admin, Config, HotRestart

HERE = Address.parse("127.0.0.1:9901")
ANY_PORT = Address.parse("127.0.0.1:0")


def test_the_admin_interface_does_not_share_an_address() -> None:
    assert Config((Listener("a", ANY_PORT, ("filter",)),), admin=Admin(ANY_PORT))
    with pytest.raises(Invalid, match="listener 'a' has this address already"):
        Config((Listener("a", HERE, ("filter",)),), admin=Admin(HERE))


def test_nobody_is_not_allowed_in() -> None:
    with pytest.raises(Invalid, match="65534"):
        HotRestart((1000, 65534))


def test_filters_are_short_for_one_chain() -> None:
    chain = FilterChain(("filter",))
    assert Listener("a", HERE, chain.filters).chains == (chain,)
    assert Listener("a", HERE, filter_chains=(chain,)).chains == (chain,)
    with pytest.raises(Invalid, match="exclude each other"):
        Listener("a", HERE, chain.filters, (chain,))


def test_a_chain_that_would_never_be_chosen_is_refused() -> None:
    chain = FilterChain(("filter",))
    with pytest.raises(Invalid, match="the same match"):
        Listener("a", HERE, filter_chains=(chain, chain))


def test_a_chain_has_a_name_of_its_own() -> None:
    chains = [
        FilterChain(("filter",), name="x", match=FilterChainMatch(destination_port=port))
        for port in (1, 2)
    ]
    with pytest.raises(Invalid, match="the same name"):
        Listener("a", HERE, filter_chains=tuple(chains))


def test_an_endpoint_has_a_port() -> None:
    with pytest.raises(Invalid, match="port 0"):
        Endpoint(ANY_PORT)


def test_a_retry_policy_fits_together() -> None:
    assert Retry(("retriable_status_codes",), status_codes=(429,))
    for on, codes in ((("5xx",), (429,)), (("retriable_status_codes",), ())):
        with pytest.raises(Invalid, match="belong together"):
            Retry(on, status_codes=codes)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="max is less than base"):
        Backoff(base=1.0, max=0.5)
