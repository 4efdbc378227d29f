"""Compares one trioproxy worker with Envoy, HAProxy and nginx: same origin, same load, one run."""
