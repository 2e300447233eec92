"""The schema of things."""
