"""HTTP messages on a transport: heads and bodies as they arrive."""
