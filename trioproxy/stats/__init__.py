"""Statistics in a memory region that every process of an instance shares.

A process attaches to the region, claims a block of cells and counts there alone; whoever reads
sums over the blocks. No process waits for another, and what a killed one had counted stays.
"""
