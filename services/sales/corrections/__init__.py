"""Data corrections: records of sales that somebody must complete or check (GRP-05, CARE-03)."""
