"""Redacts words in text while it streams, wherever the pieces are cut."""

import re
from collections.abc import AsyncIterator, Iterable

from trioproxy.filters.api import Exchange, Forward


class Redact:
    def __init__(self, words: list[str], mask: str = "***") -> None:
        begun = {word[:end] for word in words for end in range(1, len(word))}
        self.word = re.compile(any_of(words))
        self.begun_or_word = re.compile(rb"((?:%s)\Z)|%s" % (any_of(begun), any_of(words)))
        self.mask = mask.encode()

    async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None:
        exchange.request.headers.remove("accept-encoding")  # in compressed text there are no words
        exchange.on_response(self.look)
        await forward(exchange)

    async def look(self, exchange: Exchange) -> None:
        assert exchange.response
        if exchange.response.headers.get("content-type", "").startswith("text/"):
            exchange.transform_response(self.redacted)

    async def redacted(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        held = b""  # perhaps the beginning of a word: the next piece will tell
        async for piece in pieces:
            parts = self.begun_or_word.split(held + piece)
            held = (len(parts) > 1 and parts[-2]) or b""
            yield self.mask.join(parts[:-1:2] if held else parts[::2])
        yield self.word.sub(self.mask, held)


def any_of(words: Iterable[str]) -> bytes:
    longest_first = sorted(words, key=len, reverse=True)
    return b"|".join(re.escape(word.encode()) for word in longest_first) or b"(?!)"
