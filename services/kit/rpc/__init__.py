"""gRPC as this system uses it: one server pipeline, one client, and the values they share."""
