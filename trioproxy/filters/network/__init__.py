"""Filters of a connection; the last one of a chain is terminal."""
