"""Who lets connections in."""
