"""Who looks in."""
