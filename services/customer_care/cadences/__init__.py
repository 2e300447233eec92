"""Cadence templates: what turns a delivery into a set of follow-ups."""
