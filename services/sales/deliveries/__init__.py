"""Deliveries: the handing over of sold vehicles, their correction and cancellation."""
