"""Months of the group: live until they are closed, then kept in revisions that never change (SCR-08)."""
