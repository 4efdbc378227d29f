from __future__ import annotations

from trioproxy.filters.testing import connection


async def test_the_scope_of_an_address_is_nobody_elses_business() -> None:
    client = connection()
    client.appear(("fe80::2%eth0", 5000), ("fe80::1%eth0", 443))
    assert client.ends == (("fe80::2", 5000), ("fe80::1", 443))
