"""One edge-triggered epoll set per worker and what waits on it."""
