"""Schema of the after-sales database."""
