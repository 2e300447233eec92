"""The sample frame: every delivery, from its events and never from a list that a store picks (domain section 6)."""
