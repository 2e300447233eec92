"""Live grades: exact accumulators that every response is added to once (SCR-05)."""
