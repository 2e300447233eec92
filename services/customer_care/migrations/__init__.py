"""Migrations of the customer-care database."""
