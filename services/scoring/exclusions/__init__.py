"""Taking single responses out of the grades, and in again (CARE-06)."""
