"""The tables that every service has: outbox, inbox, relay state, epochs, timers, idempotency, simulation.

They have no row-level security: the machinery works on them for all stores at once, and no edge answers from them.
"""

from kit.db.migrate import SIMULATION_SETTING
from kit.db.operations import MigrationOperations
from kit.db.rls import grant_tables

KIT_TABLES = ("outbox", "inbox", "relay_state", "epoch", "seen_epoch", "timer", "idempotency", "simulation")

# Kept 30 days after publishing, so that a broker that lost its disk can be filled again. Ids are UUIDv7 of
# create_time: the sweeper finds the old ones by the primary key.
_OUTBOX = (
    """
CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    key text NOT NULL,
    subject text NOT NULL,
    type text NOT NULL,
    payload bytea NOT NULL,
    trace_context text,
    create_time timestamptz NOT NULL,
    publish_time timestamptz,
    stream_sequence bigint,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_time timestamptz NOT NULL DEFAULT '-infinity',
    last_error text
)
""",
    """
CREATE INDEX outbox_unpublished_idx ON outbox (position) WHERE publish_time IS NULL
""",
    # The few keys whose first event was refused, so that the relay need not look through everything that waits.
    "CREATE INDEX outbox_blocked_idx ON outbox (key) WHERE publish_time IS NULL AND attempts > 0",
    "CREATE INDEX outbox_stream_sequence_idx ON outbox (stream_sequence) WHERE stream_sequence IS NOT NULL",
)
# Kept 45 days, longer than outbox and stream, so that nothing that can still arrive is taken twice. Rows arrive in
# time order and are never changed: a block-range index is enough for the sweeper.
_INBOX = (
    """
CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    receive_time timestamptz NOT NULL,
    PRIMARY KEY (consumer, event_id)
)
""",
    "CREATE INDEX inbox_receive_time_idx ON inbox USING brin (receive_time)",
)
_RELAY = (
    # What the relay last saw of its stream; a stream that shows less has lost something.
    """
CREATE TABLE relay_state (
    stream text PRIMARY KEY,
    stream_created timestamptz,
    last_sequence bigint NOT NULL DEFAULT 0,
    update_time timestamptz
)
""",
    # The life of this database as a producer; a restored backup starts a new one.
    """
CREATE TABLE epoch (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch bigint NOT NULL,
    start_time timestamptz NOT NULL,
    reason text NOT NULL DEFAULT ''
)
""",
    "INSERT INTO epoch (epoch, start_time, reason) VALUES (1, now(), 'created')",
    # The newest epoch that a consumer has seen of each source.
    """
CREATE TABLE seen_epoch (
    consumer text NOT NULL,
    source text NOT NULL,
    epoch bigint NOT NULL,
    see_time timestamptz,
    PRIMARY KEY (consumer, source)
)
""",
)
# `due_at` is what the owner said; `wake_time` is when it is taken next: the same, or later after a failure.
_TIMER = (
    """
CREATE TABLE timer (
    kind text NOT NULL,
    key text NOT NULL,
    due_at timestamptz NOT NULL,
    wake_time timestamptz NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    PRIMARY KEY (kind, key)
)
""",
    "CREATE INDEX timer_wake_time_idx ON timer (kind, wake_time)",
)
_IDEMPOTENCY = (
    # Kept 48 hours.
    """
CREATE TABLE idempotency (
    caller text NOT NULL,
    method text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    response bytea,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (caller, method, key)
)
""",
    "CREATE INDEX idempotency_create_time_idx ON idempotency USING brin (create_time)",
)
# One row in a database that lives by the shared clock of a simulation; it was empty when it began, and stays one.
_SIMULATION = (
    """
CREATE TABLE simulation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    start_time timestamptz NOT NULL
)
""",
    f"""
INSERT INTO simulation (start_time)
SELECT start::timestamptz FROM current_setting('{SIMULATION_SETTING}', true) AS start WHERE start <> ''
""",  # noqa: S608 - the name of the setting is a constant
)


def create_kit_tables(op: MigrationOperations) -> None:
    """Create the kit's tables and let the service role use them; for a service's first migration."""
    for statement in (*_OUTBOX, *_INBOX, *_RELAY, *_TIMER, *_IDEMPOTENCY, *_SIMULATION):
        op.execute(statement)
    grant_tables(op, *KIT_TABLES)
