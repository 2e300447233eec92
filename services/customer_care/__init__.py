"""Customer care: care plans with their follow-ups, surveys, and the contacts that calls need."""
