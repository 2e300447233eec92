"""Regions, stores, calendars and staff."""
