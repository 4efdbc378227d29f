"""A full L4/HTTP proxy on Trio that restarts itself hot."""

__version__ = "0.1.0"
