"""Events between services: outbox, relay, streams, consumers, inbox and dead letters."""
