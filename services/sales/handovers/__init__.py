"""Daily hand-overs: the day's deliveries, confirmed to customer care, also none (SAL-11)."""
