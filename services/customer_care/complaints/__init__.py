"""Complaints: the closed loop from the opening to the archive, and the clocks that run beside it."""
