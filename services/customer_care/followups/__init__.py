"""Follow-ups: the attempts to reach a customer, and what came of them."""
