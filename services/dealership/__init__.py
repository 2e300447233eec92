"""The few business words that every service shares: VIN, telephone number, calendar, roles, the store directory."""
