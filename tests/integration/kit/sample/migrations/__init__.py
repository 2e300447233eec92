"""The sample's schema."""
