"""HTTP/2 (RFC 9113) and HPACK (RFC 7541): bytes to events and back; no Trio, no clock, no log."""
