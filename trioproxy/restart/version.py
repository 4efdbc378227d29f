"""The version of the protocol that main, workers and generations speak with each other."""

PROTOCOL_VERSION = 1
