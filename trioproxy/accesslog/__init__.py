"""A line per exchange: what it says, and a writer that never blocks the loop."""
