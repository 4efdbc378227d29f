from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import trio
from planes import open_upstream

from trioproxy.clusters import by_http
from trioproxy.clusters.by_http import UrlFinder
from trioproxy.clusters.finding import DiscoveryFailed
from trioproxy.config.discovery import PolledUrl

if TYPE_CHECKING:
    import ssl

    from certificates import Authority
    from planes import Handler

LISTED = json.dumps({"endpoints": ["127.0.0.1:1", {"address": "127.0.0.1:2", "weight": 2}]})


def answering(*answers: str) -> tuple[Handler, list[str]]:
    """Return a handler that gives one answer after another, and what it is asked."""
    heads: list[str] = []
    left = list(answers)

    async def handle(stream: trio.SocketStream, head: str, body: bytes) -> None:
        heads.append(head)
        await stream.send_all(left.pop(0).encode())

    return handle, heads


def ok(body: str = LISTED, headers: str = "") -> str:
    return f"HTTP/1.1 200 OK\r\n{headers}content-length: {len(body)}\r\n\r\n{body}"


async def test_what_is_asked_and_what_is_found() -> None:
    handle, heads = answering(ok())
    async with open_upstream(handle) as port:
        url = f"http://127.0.0.1:{port}/v1/app?near=me"
        found = await UrlFinder(PolledUrl(url, headers={"X-Token": "s3cret"}))()
    assert [(each.address, each.weight) for each in found.members] == [
        ("127.0.0.1:1", 1),
        ("127.0.0.1:2", 2),
    ]
    (head,) = heads
    request, *lines = head.split("\r\n")
    assert request == "GET /v1/app?near=me HTTP/1.1"
    assert {f"host: 127.0.0.1:{port}", "x-token: s3cret"} <= {line.lower() for line in lines}


async def test_what_did_not_change_is_not_told_again() -> None:
    handle, heads = answering(ok(headers='etag: "7"\r\n'), "HTTP/1.1 304 Not Modified\r\n\r\n")
    async with open_upstream(handle) as port:
        find = UrlFinder(PolledUrl(f"http://127.0.0.1:{port}"))
        first, second = await find(), await find()
    assert len(first.members) == 2
    assert first == second
    assert "if-none-match" not in heads[0].lower()
    assert 'if-none-match: "7"' in heads[1].lower()


async def test_a_tag_need_not_be_ascii() -> None:
    handle, heads = answering(ok(headers='etag: "\xe9"\r\n'), "HTTP/1.1 304 Not Modified\r\n\r\n")
    async with open_upstream(handle) as port:
        find = UrlFinder(PolledUrl(f"http://127.0.0.1:{port}"))
        assert await find() == await find()
    assert 'if-none-match: "\xe9"' in heads[1].lower()


@pytest.mark.parametrize("name", ["a..b", f"{'a' * 64}.b"])
async def test_what_has_no_address(name: str) -> None:
    with pytest.raises(DiscoveryFailed, match=f"http://{name}/: .*label"):
        await UrlFinder(PolledUrl(f"http://{name}/"))()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", "status 500"),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", "status 304"),
        ("SSH-2.0\r\n\r\n", "illegal status line"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[", "peer closed connection"),
        (ok("[127.0.0.1]"), "/:1:2: expected an address"),
        (ok("[" + " " * 9000 + "]"), "more than 1000 bytes"),
    ],
)
async def test_what_is_no_answer(answer: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_http, "LARGEST_TEXT", 1000)
    handle, _ = answering(answer)
    async with open_upstream(handle) as port:
        with pytest.raises(DiscoveryFailed, match=reason):
            await UrlFinder(PolledUrl(f"http://127.0.0.1:{port}/"))()


async def test_a_query_may_be_a_secret() -> None:
    handle, _ = answering("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")
    async with open_upstream(handle) as port:
        with pytest.raises(DiscoveryFailed) as failure:
            await UrlFinder(PolledUrl(f"http://127.0.0.1:{port}/app?token=s3cret"))()
    assert str(failure.value) == f"http://127.0.0.1:{port}/app: status 403"


async def test_nobody_there() -> None:
    async with open_upstream(answering()[0]) as port:
        pass
    with pytest.raises(DiscoveryFailed, match=f"http://127.0.0.1:{port}/: .*onnect"):
        await UrlFinder(PolledUrl(f"http://127.0.0.1:{port}/"))()


async def test_an_answer_that_does_not_come() -> None:
    async def say_nothing(stream: trio.SocketStream, head: str, body: bytes) -> None:
        await trio.sleep_forever()

    async with open_upstream(say_nothing) as port:
        with pytest.raises(DiscoveryFailed, match="no answer in time"):
            await UrlFinder(PolledUrl(f"http://127.0.0.1:{port}/", timeout=0.05))()


async def serve_over_tls(
    context: ssl.SSLContext,
    *,
    task_status: trio.TaskStatus[list[trio.SSLListener[trio.SocketStream]]],
) -> None:
    """Give everybody the same answer."""

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError):
                await stream.receive_some()
                await stream.send_all(ok().encode())

    listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")
    await trio.serve_listeners(serve, listeners, task_status=task_status)


@pytest.mark.parametrize(
    ("name", "known", "reason"),
    [
        ("127.0.0.1", True, ""),
        ("127.0.0.9", True, "certificate verify failed: IP address mismatch"),
        ("127.0.0.1", False, "certificate verify failed: unable to get local issuer"),
    ],
)
async def test_whom_it_believes_over_tls(
    name: str,
    reason: str,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    nursery: trio.Nursery,
    *,
    known: bool,
) -> None:
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    listeners = await nursery.start(serve_over_tls, authority.server(authority.issue(name)))
    port = listeners[0].transport_listener.socket.getsockname()[1]
    find = UrlFinder(PolledUrl(f"https://127.0.0.1:{port}/"))
    if reason:
        with pytest.raises(DiscoveryFailed, match=reason):
            await find()
    else:
        assert len((await find()).members) == 2
