"""Lists of deliveries and of customers that come in as files (GRP-05)."""
