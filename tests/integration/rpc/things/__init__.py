"""A tiny service behind `things.proto`, to try the server and the client with."""

PACKAGE = __name__
