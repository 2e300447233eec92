"""Measurements: each prints its figures as ratios against a floor of the same run, or against the figure to reach."""
