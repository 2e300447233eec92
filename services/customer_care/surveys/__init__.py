"""Surveys: questionnaires, the signed link of an invitation, and the answers."""
