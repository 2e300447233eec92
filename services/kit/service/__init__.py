"""What a service is made of, and the one way to run it."""

from kit.service.command import main
from kit.service.context import KitContext
from kit.service.definition import Command, Service
from kit.service.running import Running

__all__ = ["Command", "KitContext", "Running", "Service", "main"]
