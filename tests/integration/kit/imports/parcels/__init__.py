"""A tiny kind of list, with a word of its own (the parcel), to try imports with."""

PACKAGE = __name__
