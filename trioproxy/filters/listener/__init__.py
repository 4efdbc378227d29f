"""Filters of a connection before a chain is chosen for it."""
