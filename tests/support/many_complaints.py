"""Very many complaints of one store whose clocks fire at the same moment, made by copying one, and the workers."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from dealerloop.customer_care.v1 import complaints_pb2 as pb
from kit.local.process import Child
from tests.support.care_desk import CareDesk
from tests.support.deliveries import STORE
from tests.support.one_service import SERVICES
from tests.support.postgres import DatabaseUrls
from tools.machine import ROOT

KIND: Final = "complaint.clock"
FIRED: Final = "SELECT count(*) FROM complaint_escalation"

# Everything about the first complaint lies so much further back that its next clock fires at the moment that is wanted.
_SHIFT: Final = """
WITH back AS (SELECT min(due_at) - $1::timestamptz AS by FROM timer WHERE kind = 'complaint.clock'),
complaints AS (
    UPDATE complaint SET open_time = open_time - by, since = since - by, contact_time = contact_time - by FROM back
), actions AS (
    UPDATE complaint_action SET action_time = action_time - by FROM back
), clocks AS (
    UPDATE complaint_clock SET start_time = start_time - by, due_time = due_time - by, done_time = done_time - by
    FROM back
)
UPDATE timer SET due_at = due_at - by, wake_time = due_at - by FROM back WHERE kind = 'complaint.clock'
"""
_NEW: Final = "CREATE TEMPORARY TABLE new AS SELECT uuidv7() AS id FROM generate_series(1, $1)"
_COPIES: Final = (
    """
    INSERT INTO complaint
    SELECT (jsonb_populate_record(t, jsonb_build_object('id', new.id))).* FROM complaint t, new WHERE t.id = $1
    """,
    *(
        f"""
        INSERT INTO {table}
        SELECT (jsonb_populate_record(t, jsonb_build_object('complaint_id', new.id))).* FROM {table} t, new
        WHERE t.complaint_id = $1
        """
        for table in ("complaint_action", "complaint_round", "complaint_clock")
    ),
    """
    INSERT INTO timer
    SELECT (jsonb_populate_record(t, jsonb_build_object('key', replace(t.key, $1::uuid::text, new.id::text)))).*
    FROM timer t, new WHERE t.kind = 'complaint.clock' AND starts_with(t.key, $1::uuid::text)
    """,
)


async def connect(urls: DatabaseUrls) -> asyncpg.Connection:
    """A connection that sees every store and may do more than the service."""
    return await asyncpg.connect(urls.migration_url, server_settings={"dealerloop.scope": "group", "jit": "off"})


async def open_many(urls: DatabaseUrls, keys: Path, count: int, fire_time: datetime) -> None:
    """Open so many complaints whose customers were spoken to and whose return warns at that time; none else is near."""
    desk = CareDesk("customer_care", urls, keys, datetime.now(UTC))
    await desk.open()
    try:
        name = await _open_one(desk)
    finally:
        await desk.stop()
    connection = await connect(urls)
    try:
        await connection.execute(_SHIFT, fire_time)
        await connection.execute(_NEW, count - 1)
        for statement in _COPIES:
            await connection.execute(statement, UUID(name.rpartition("/")[2]))
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def _open_one(desk: CareDesk) -> str:
    complaint = pb.Complaint(
        kind="COMPLAINT_KIND_DELIVERY",
        channel="COMPLAINT_CHANNEL_PHONE",
        description="三天没有交车",
        department="DEPARTMENT_SALES",
        customer_display_name="王小明",
        customer_phone="13800138000",
    )
    create = pb.CreateComplaintRequest(parent=f"stores/{STORE}", complaint=complaint)
    made = await desk.ask("ComplaintService/CreateComplaint", create, pb.Complaint)
    contact = pb.RecordComplaintContactRequest(name=made.name, channel="COMPLAINT_CHANNEL_PHONE", note="已致歉")
    await desk.ask("ComplaintService/RecordComplaintContact", contact, pb.Complaint)
    return made.name


class Workers:
    """Worker processes of customer care on one database. Start them from the main thread."""

    def __init__(self, urls: DatabaseUrls, nats_url: str, folder: Path) -> None:
        """`folder` holds the keys and gets the logs."""
        self._folder = folder
        self._children: list[Child] = []
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEALERLOOP_", "PG"))}
        self._environment = kept | {
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("services", "gen", "")),
            "DEALERLOOP_DATABASE_URL": urls.database_url,
            "DEALERLOOP_NATS_URL": nats_url,
            "DEALERLOOP_KEYS_DIR": str(folder / "keys"),
            **{f"DEALERLOOP_{name.upper()}_TARGET": "127.0.0.1:1" for name in SERVICES},
        }

    def start(self, *, failpoint: str = "") -> Child:
        """One more process, with a failpoint that will end it or without."""
        extra = {"DEALERLOOP_FAILPOINT": failpoint} if failpoint else {}
        log = self._folder / f"worker{len(self._children)}.log"
        program = [sys.executable, "-m", "customer_care", "worker"]
        self._children.append(Child(program, log_path=log, environment=self._environment | extra))
        return self._children[-1]

    def stop(self) -> None:
        """All that still run."""
        for child in self._children:
            child.kill()

    def tails(self) -> str:
        """What each wrote last."""
        return "\n".join(f"--- {child.log_path.name}\n{child.tail(8)}" for child in self._children)


async def figures(connection: asyncpg.Connection) -> dict[str, Any]:
    """How many thresholds were written down, told and set next, and how many of them differ."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT count(*) FROM complaint_escalation) AS escalations,
               (SELECT count(DISTINCT complaint_id) FROM complaint_escalation) AS complaints,
               count(*) AS events, count(DISTINCT key) AS keys, count(publish_time) AS published,
               (SELECT count(*) FROM timer WHERE kind = 'complaint.clock') AS timers
        FROM outbox WHERE type = 'dealerloop.customer_care.events.v1.ComplaintClockFired'
        """
    )
    return dict(row)
