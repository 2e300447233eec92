"""Scoring: satisfaction models, the sample frame and live grades."""
