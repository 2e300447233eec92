"""A dealer group's life in minutes: the whole system by a shared clock, and invented people who use it (ADR 16)."""
