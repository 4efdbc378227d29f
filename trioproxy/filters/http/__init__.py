"""Filters of an HTTP exchange; the last one of a chain is terminal."""
