"""What every service stands on. Knows no business word."""
