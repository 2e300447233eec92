"""Care plans: what a delivery's cadence asks for, kept in step with the delivery and the first service."""
