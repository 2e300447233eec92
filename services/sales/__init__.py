"""Sales: the customers of a store, and the deliveries that start every loop (SAL-10)."""
