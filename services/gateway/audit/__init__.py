"""The audit trail: who wrote or revealed what, in every service."""
