"""What happens to a connection and to an exchange."""
