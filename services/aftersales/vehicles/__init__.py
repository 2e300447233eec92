"""Vehicles: learnt from deliveries and visits, visible to the stores that sold or serviced them (GRP-01a)."""
