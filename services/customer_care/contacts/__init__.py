"""Contacts: an encrypted copy of the name and number that a call needs."""
