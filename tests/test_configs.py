"""Each example in `configs/` is served, with small upstreams, and does what it says."""

from __future__ import annotations

import json
import random
import re
import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import grpc_peers
import pytest
import trio
import trio.testing
from certificates import furnish
from planes import open_proxy, open_upstream, say

from trioproxy.cli.main import main
from trioproxy.drain.lifetime import Cause
from trioproxy.filters.registry import REGISTRY
from trioproxy.filters.testing import Upstream, ask, talk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from types import ModuleType

    from certificates import Authority
    from planes import Handler, Proxy

CONFIGS = Path(__file__).parents[1] / "configs"
FURNISHED = {"edge"}  # with certificates


@asynccontextmanager
async def example(name: str, **answers: str | Handler) -> AsyncIterator[Proxy]:
    """Serve an example; each cluster's upstream answers with the text that is given for it."""
    async with AsyncExitStack() as stack:
        upstreams = {
            cluster: await stack.enter_async_context(
                open_upstream(partial(tell, answer) if isinstance(answer, str) else answer)
            )
            for cluster, answer in answers.items()
        }
        yield await stack.enter_async_context(open_proxy(CONFIGS / f"{name}.yaml", upstreams))


async def tell(text: str, stream: trio.SocketStream, _head: str, _body: bytes) -> None:
    await say(stream, text, headers="content-type: text/plain\r\n")


async def until(stream: trio.SocketStream, end: bytes) -> bytes:
    data = b""
    while end not in data:
        piece = await stream.receive_some()
        assert piece, f"{end!r} is not in {data!r}"
        data += piece
    return data


def get(path: str = "/", host: str = "example.org", headers: str = "") -> str:
    return f"GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}"


async def test_grpc_calls_pass() -> None:
    with grpc_peers.service() as port:
        async with open_proxy(CONFIGS / "grpc.yaml", {"orders": port}) as proxy:
            with grpc_peers.channel(int(proxy.url.rpartition(":")[2])) as channel:
                ask = channel.unary_unary("/shop.Orders/Unary")
                assert await grpc_peers.calling(partial(ask, b"hi")) == b"said hi"
                other = partial(channel.unary_unary("/shop.Carts/Unary"), b"")
                error = await grpc_peers.calling(partial(grpc_peers.failed, other))
                assert error.details() == "no route matches"


def status(answer: str) -> int:
    return int(answer.split()[1])


@pytest.fixture
def load_example(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(CONFIGS)
    return __import__


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_is_valid_and_has_a_test(
    path: Path,
    capsys: pytest.CaptureFixture[str],
    load_example: Callable[[str], ModuleType],
    authority: Authority,
    tmp_path: Path,
) -> None:
    if path.stem in FURNISHED:
        path = furnished(path.stem, tmp_path, authority)
    assert main(["--mode", "validate", "-c", str(path)]) == 0
    assert capsys.readouterr().out.endswith("OK\n")
    assert any(name.startswith(f"test_{path.stem}") for name in globals())


def furnished(name: str, directory: Path, authority: Authority) -> Path:
    """An example beside the certificates that it expects."""
    furnish(directory, authority)
    return Path(shutil.copy(CONFIGS / f"{name}.yaml", directory))


async def test_edge(authority: Authority, tmp_path: Path) -> None:
    path = furnished("edge", tmp_path, authority)
    async with open_upstream(partial(tell, "the site")) as site:
        upstreams = {"site": site, "db": site, "api": site}
        async with open_proxy(path, upstreams) as proxy:
            moved = await proxy.ask()
            assert status(moved) == 308
            assert "location: https://x:10443/\r\n" in moved
            answer = await ask_securely(proxy, authority, "www.example.org")
            assert answer.endswith("the site")
            assert "strict-transport-security: max-age=63072000" in answer
            with pytest.raises(trio.BrokenResourceError):
                await ask_securely(proxy, authority, "api.example.org")


async def ask_securely(proxy: Proxy, authority: Authority, name: str) -> str:
    stream = await proxy.connect("https")
    async with trio.SSLStream(stream, authority.client(), server_hostname=name) as secure:
        await secure.send_all(get(host=name).encode() + b"connection: close\r\n\r\n")
        return b"".join([data async for data in secure]).decode()


async def test_demo_over_http() -> None:
    async with example("demo") as proxy:
        index = await proxy.ask()
        assert "server: trioproxy" in index
        facts = json.loads((await proxy.ask(get("/whoami"))).partition("\r\n\r\n")[2])
        assert facts["request"] == "GET /whoami"
        shout = "POST /shout HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
        assert "HELLO" in await proxy.ask(shout, "hello")
        around = await proxy.ask(get("/around/whoami"))
        assert json.loads(around.partition("\r\n\r\n")[2])["from"].startswith("127.0.0.1:")
        assert re.search(r"location: http://example.org/\r\n", await proxy.ask(get("/old")))
        assert status(await proxy.ask(get("/nothing"))) == 404
        paths = set(re.findall(r"localhost:10000(/\w*)", index))
        assert paths == {"/whoami", "/events", "/shout", "/around", "/old"}


async def test_demo_streams_events() -> None:
    async with example("demo") as proxy, await proxy.connect() as stream:
        await stream.send_all(get("/events").encode() + b"\r\n")
        data = await until(stream, b"event: tick\ndata: 0.")
        assert b"content-type: text/event-stream" in data


async def test_discovery() -> None:
    """With stand-ins for what would be found."""
    hosts = {"shop": "Shop", "search": "Search", "recommend": "Recommend"}
    async with example("discovery", **hosts) as proxy:
        for path, body in (("/", "Shop"), ("/search/?q=x", "Search"), ("/recommend/1", "Recomm")):
            assert body in await proxy.ask(get(path))


@pytest.mark.parametrize("listener", ["lines", "lines-through"])
async def test_demo_over_tcp(listener: str) -> None:
    async with example("demo") as proxy, await proxy.connect(listener) as stream:
        await stream.send_all(b"hel")
        await stream.send_all(b"lo\nbye\nignored\n")
        heard = b"".join([data async for data in stream])
        assert heard == b"Say something, or bye.\nYou said: hello\nBye.\n"


async def test_the_demos_lines_without_a_socket(
    load_example: Callable[[str], ModuleType],
) -> None:
    lines = load_example("demo").Lines()
    assert await talk(lines, b"a\n", b"b", b"\nc") == (
        b"Say something, or bye.\nYou said: a\nYou said: b\n"
    )
    assert (await talk(lines, b"x" * 5000)).endswith(b"too long a line.\n")


async def test_http() -> None:
    async with example("http", api="the api", site="the site") as proxy:
        api = await proxy.ask(get("/v1/things", "api.example.org"))
        assert api.endswith("the api")
        assert "x-served-by: edge-1" in api
        assert status(await proxy.ask(get("/v2/", "api.example.org"))) == 404
        assert (await proxy.ask(get("/", "www.example.org"))).endswith("the site")
        blog = await proxy.ask(get("/blog/1?page=2"))
        assert "location: http://blog.example.net/blog/1\r\n" in blog
        assert status(await proxy.ask(get("/healthz"))) == 200
        assert status(await proxy.ask(get("/", "nobody.example.com"))) == 404
        assert proxy.counter("http.ingress.health_check.ok") == 1
        assert proxy.counter("http.ingress.http_local_rate_limit.ok") == 5


async def test_tcp() -> None:
    async def echo(stream: trio.SocketStream) -> None:
        async for data in stream:
            await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, echo, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        port = listeners[0].socket.getsockname()[1]
        upstreams = {"postgres": port, "redis": port}
        async with open_proxy(CONFIGS / "tcp.yaml", upstreams) as proxy:
            for listener in ("postgres", "redis", "redis-socket"):
                async with await proxy.connect(listener) as stream:
                    await stream.send_all(b"select 1")
                    assert await stream.receive_some() == b"select 1"
        nursery.cancel_scope.cancel()


async def test_redact() -> None:
    async with example("redact", app="the password is a secret, secretly") as proxy:
        assert "the *** is a ***, ***ly" in await proxy.ask()


WORDS = ["secret", "sec", "cretin", "a", "tea", "s"]


@pytest.mark.parametrize("seed", range(50))
async def test_redact_does_the_same_however_a_text_is_cut(
    seed: int, load_example: Callable[[str], ModuleType]
) -> None:
    """It is what one substitution over the whole text does."""
    rng = random.Random(seed)
    words = rng.sample(WORDS, rng.randint(1, len(WORDS)))
    text = "".join(rng.choice([*WORDS, *"secrtin a"]) for _ in range(rng.randint(0, 60))).encode()
    cuts = sorted(rng.randint(0, len(text)) for _ in range(rng.randint(0, 20)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    upstream = Upstream(*pieces, headers={"content-type": "text/plain"})
    client = await ask(load_example("redact").Redact(words=words), upstream)
    longest_first = "|".join(sorted(words, key=len, reverse=True))
    assert client.body == re.sub(longest_first.encode(), b"***", text)


async def test_redact_leaves_alone_what_is_no_text_and_holds_back_no_more_than_it_must(
    load_example: Callable[[str], ModuleType],
) -> None:
    redact = load_example("redact").Redact(words=["secret"])
    binary = Upstream(b"a secret", headers={"content-type": "image/png"})
    assert (await ask(redact, binary)).body == b"a secret"
    events = Upstream(b"one sec\n", b"two sec", b"ret", headers={"content-type": "text/plain"})
    client = await ask(redact, events)
    assert [piece for piece in client.pieces if piece] == [b"one sec\n", b"two ", b"***"]


KEY = "authorization: Bearer key-of-alice\r\n"
USAGE = '{"choices": [], "usage": {"prompt_tokens": 20, "total_tokens": 42}}'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", USAGE),
        ("text/event-stream; charset=utf-8", f"data: {{}}\n\ndata: {USAGE}\n\ndata: [DONE]\n\n"),
    ],
)
async def test_llm_gateway(kind: str, body: str) -> None:
    heads = []

    async def model(stream: trio.SocketStream, head: str, _body: bytes) -> None:
        heads.append(head)
        await say(stream, body, headers=f"content-type: {kind}\r\n")

    async with example("llm_gateway", model=model) as proxy:
        for _ in range(2):
            assert USAGE in await proxy.ask(get("/v1/chat/completions", headers=KEY))
        assert proxy.counter("http.llm.tokens.alice") == 84
        assert proxy.counter("http.llm.tokens.bob") == 0
        assert "x-user: alice" in heads[0]
        assert "key-of-alice" not in heads[0]
        assert status(await proxy.ask(get("/v1/models"))) == 401
        assert proxy.counter("http.llm.refused") == 1


async def test_llm_gateway_passes_an_event_on_before_the_next_one_comes() -> None:
    heard = trio.Event()

    async def model(stream: trio.SocketStream, _head: str, _body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        await stream.send_all(head + b"data: one\n\n")
        await heard.wait()
        await stream.send_all(b"data: two\n\n")

    async with example("llm_gateway", model=model) as proxy, await proxy.connect() as stream:
        await stream.send_all(f"{get('/v1/', headers=KEY)}\r\n".encode())
        await until(stream, b"data: one")
        heard.set()
        await until(stream, b"data: two")


async def test_websocket() -> None:
    async def chat(stream: trio.SocketStream, head: str, _body: bytes) -> None:
        assert "upgrade: websocket" in head
        await stream.send_all(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        )
        await stream.send_all(b"you: " + await stream.receive_some())

    upgrade = "connection: upgrade\r\nupgrade: websocket\r\n\r\n"
    async with example("websocket", app="a page", chat=chat) as proxy:
        assert (await proxy.ask()).endswith("a page")
        async with await proxy.connect() as stream:
            await stream.send_all(get("/chat", headers=upgrade).encode())
            await until(stream, b"101 Switching Protocols")
            await stream.send_all(b"hello")
            await until(stream, b"you: hello")


@pytest.mark.parametrize(("method", "expected", "attempts"), [("GET", 200, 3), ("POST", 503, 1)])
async def test_retries(method: str, expected: int, attempts: int) -> None:
    tries = []

    async def failing_twice(stream: trio.SocketStream, head: str, _body: bytes) -> None:
        tries.append(head)
        worked = len(tries) > 2
        await say(stream, "at last", status="200 OK" if worked else "503 Service Unavailable")

    async with example("retries", app=failing_twice) as proxy:
        answer = await proxy.ask(get().replace("GET", method))
        assert (status(answer), len(tries)) == (expected, attempts)


async def test_canary() -> None:
    async with example("canary", stable="stable", canary="canary") as proxy:
        tester = await proxy.ask(get(headers="x-canary: yes\r\n"))
        assert tester.endswith("canary")
        assert "x-version: canary" in tester
        others = [(await proxy.ask()).rpartition("\n")[2] for _ in range(100)]
        assert others.count("stable") > others.count("canary")


async def test_chaos() -> None:
    async with example("chaos", app="fine") as proxy:
        chosen = await proxy.ask(get(headers="x-chaos: abort\r\n"))
        assert status(chosen) == 503
        assert proxy.counter("http.web.fault.aborts_injected") == 1


async def test_polite() -> None:
    """A transaction that is under way is finished, then the client is told goodbye."""
    async with example("polite") as proxy, await proxy.connect() as stream:
        await stream.send_all(b"BEGIN\r\nfirst\r\n")
        proxy.drain(Cause.RESTART, 90, time=0)
        await trio.testing.wait_all_tasks_blocked(0.05)
        await stream.send_all(b"second\r\nCOMMIT\r\n")
        heard = b"".join([data async for data in stream])
        assert heard == b"250 committed 2\r\n221 restarting, please come again\r\n"


async def test_polite_to_who_waits_for_nothing() -> None:
    async with example("polite") as proxy, await proxy.connect() as stream:
        await stream.send_all(b"BEGIN\nCOMMIT\nBEG")
        await until(stream, b"250 committed 0\r\n")
        proxy.drain(Cause.RESTART, 90, time=0)
        assert b"".join([data async for data in stream]).startswith(b"221 ")


PAGE = (CONFIGS.parent / "docs" / "filters.md").read_text()


def test_the_filter_on_the_page_is_the_file() -> None:
    assert f"```python\n{(CONFIGS / 'redact.py').read_text()}```" in PAGE
    lines = (CONFIGS / "redact.py").read_text().splitlines()
    assert len([line for line in lines if line]) <= 30


async def test_the_test_on_the_page_passes(load_example: Callable[[str], ModuleType]) -> None:
    (source,) = re.findall(r"```python\n(from redact .*?)```", PAGE, re.DOTALL)
    names: dict[str, Callable[[], Awaitable[None]]] = {}
    exec(source, names)
    await names["test_a_word_is_found_across_pieces"]()


def test_the_page_names_every_filter() -> None:
    for kind in ("http", "network"):
        for name in REGISTRY.of(kind):
            assert f"[`{name}`](configuration-reference.md#{name}-{kind}-filter)" in PAGE
