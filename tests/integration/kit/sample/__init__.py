"""A tiny service, with a word of its own (the note), to try the kit with."""

PACKAGE = __name__
