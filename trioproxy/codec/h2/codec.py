"""One worker's reader and writer of header blocks: what is worth remembering across connections.

How a message looks after HTTP/2, and before:

- `request.chunked` / `response.chunked` is set where a body of unknown length follows: no
  content-length, and the stream did not end with the head. `minor` is 1, `reason` empty.
- Extended CONNECT (RFC 8441) is `method="CONNECT"` with `upgrade` holding :protocol, in lower case,
  and with scheme, path and authority; plain CONNECT has an empty path and no upgrade.
- `authority` is :authority, or Host where there was none; they may not differ. Host is no field.
- `te_trailers`, `expect_continue`, `content_length` stand for their fields, as in HTTP/1.1. Cookie
  fields are joined to one. Connection, Upgrade and the like are errors (section 8.2.2).
- What is sent: `upgrade` of a response and what concerns one hop is left out; `chunked` only means
  that no content-length is written.
"""

from __future__ import annotations


class Codec:
    """Shared by all connections of a worker."""
