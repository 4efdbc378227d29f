"""Bytes to events and back; no Trio, no clock, no log."""
