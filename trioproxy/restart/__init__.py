"""What two processes of one instance say to each other."""
