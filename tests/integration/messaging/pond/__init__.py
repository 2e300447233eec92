"""A pond that pebbles are thrown into, to try the kit's messaging with."""

PACKAGE = __name__
