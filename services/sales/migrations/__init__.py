"""Schema of the sales database."""
