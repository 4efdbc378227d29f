"""Clusters, their hosts, how one is picked, and the connections kept to it."""
