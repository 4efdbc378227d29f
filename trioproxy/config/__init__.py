"""What the operator wrote, frozen and checked."""
