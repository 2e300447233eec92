"""Warranty: versioned policies, the terms of a vehicle, and decisions about coverage."""
