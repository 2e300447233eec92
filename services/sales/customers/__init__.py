"""Customers: who bought a vehicle, with their personal data encrypted."""
