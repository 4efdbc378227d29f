"""What main knows of clusters: who their hosts are, how they fare; it tells the workers."""
