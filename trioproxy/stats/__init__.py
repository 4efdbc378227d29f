"""Statistics in a memory region that every process of an instance shares."""
