"""After-sales: vehicles with their warranty and maintenance plan, and visits to the workshop."""
