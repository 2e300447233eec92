"""What a service is made of, and the one way to run it."""

from kit.service.command import main
from kit.service.context import KitContext
from kit.service.definition import Service
from kit.service.running import Running

__all__ = ["KitContext", "Running", "Service", "main"]
