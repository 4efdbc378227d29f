"""Restarts a proxy hot, again and again, under a mixed load, and tells what its clients saw."""
