"""Versioned satisfaction models (SCR-01)."""
