"""When a connection has to leave: lifetimes, ladders and the sweep that enforces them."""
