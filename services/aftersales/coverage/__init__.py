"""Coverage: whether a fault is covered, by time and mileage; anything else is referred with the missing evidence."""
