from __future__ import annotations

from trioproxy.wire.body import WholeBody


async def test_a_whole_body_has_what_one_on_its_way_has() -> None:
    body = WholeBody(b"all")
    assert (body.done, body.left, body.size, len(body.trailers)) == (True, 0, 3, 0)
    assert [piece async for piece in body] == [b"all"]
    assert (await body.read(), body.size) == (b"", 3)
