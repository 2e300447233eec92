"""How long it takes to close a month of the whole group, and to re-open it for the stores that changed (SCR-08).

`python -m bench.month_close [--stores 1000] [--responses 1000]`: 38 marks in every response, ten consultants and two
interview modes in every store. The floor is what cannot be avoided: one statement that copies the responses alone into
a table without any protection, measured in the same run on the same rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import asyncpg

from bench.reporting import say
from dealership import stores
from kit.db.engine import Database
from kit.db.migrate import upgrade_async
from kit.db.scope import Scope
from kit.local.postgres import LocalPostgres
from kit.local.provision import provision_async
from scoring.models.service import ModelCatalogue
from scoring.months.service import Closing
from tests.support.scoring import a_store

MONTH = "2026-10"
NOW = datetime(2026, 11, 5, tzinfo=UTC)
CHANGED = 10
"""Every so many stores has a late answer when the month is re-opened."""
GOAL_SECONDS = 30.0
_RESPONSES = """
insert into response (response_id, store_id, version, delivery_id, consultant_id, customer_id, mode, month, submit_time,
                      questionnaire_version, model_code, model_version, marks)
select gen_random_uuid(), 'st-' || store, 1, gen_random_uuid(), 'c' || n % 10, gen_random_uuid()::text,
       case n % 2 when 0 then 'INTERVIEW_MODE_PHONE' else 'INTERVIEW_MODE_LINK' end, $1, '2026-10-15 04:00+00',
       'questionnaires/ssi-five-factor/versions/1', 'ssi-five-factor', 1, marks.marks
from generate_series(1, $2::int) as store
cross join generate_series(1, $3::int) as n
cross join lateral (
    select jsonb_agg(jsonb_build_array(code, 'SCALE_7', 1 + (ordinality + n + store) % 7)) as marks
    from unnest($4::text[]) with ordinality as code
) marks
"""
_CELLS = """
insert into grade_cell (store_id, month, model_code, model_version, consultant_id, mode, code,
                        n, total, square, top, bottom)
select store_id, month, model_code, model_version, consultant_id, mode, code,
       count(*), count(*) * 50000000, count(*) * 2500000000000000::numeric, 0, 0
from response cross join unnest($1::text[]) as code
group by 1, 2, 3, 4, 5, 6, 7
"""
_FRAME = """
insert into sample_frame (delivery_id, store_id, version, consultant_id, vin, delivery_date, month, cancelled)
select delivery_id, store_id, 1, consultant_id, '', '2026-10-12', month, false from response
"""
_LATE = """
with late as (
    update response set version = 2 where response_id in (
        select distinct on (store_id) response_id from response
        where month = $1 and substr(store_id, 4)::int % $2 = 0 order by store_id
    ) returning month, store_id, response_id
)
insert into touched_response select * from late
"""
_FLOOR = """
insert into floor
select month, store_id, 1, response_id, version, delivery_id, consultant_id, customer_id, mode, submit_time,
       questionnaire_version, model_code, model_version, marks
from response where month = $1
"""


def codes() -> tuple[list[str], list[str]]:
    """The indicators of the shipped model, and everything that a cell is kept for."""
    text = (resources.files("scoring.models") / "data/ssi-five-factor.v1.json").read_text("utf-8")
    model = json.loads(text)
    indicators = [one["code"] for factor in model["factors"] for one in factor["indicators"]]
    return indicators, [model["index_code"], *(factor["code"] for factor in model["factors"]), *indicators]


async def measure(postgres_url: str, store_count: int, response_count: int) -> bool:
    """Fills a database, closes and re-opens its month; whether the goal was reached."""
    service_url, owner_url = (await provision_async(postgres_url, ["scoring"], "bench"))["scoring"]
    await upgrade_async(owner_url, "scoring")
    owner = await asyncpg.connect(owner_url)
    await owner.execute("select set_config('dealerloop.scope', 'group', false)")
    indicators, everything = codes()
    await owner.execute(_RESPONSES, MONTH, store_count, response_count, indicators)
    await owner.execute(_CELLS, everything)
    await owner.execute(_FRAME)
    await owner.execute("vacuum analyze")
    database = Database(service_url)
    async with database.transaction(Scope.system("bench")) as session:
        await stores.save(session, [a_store(f"st-{number}") for number in range(1, store_count + 1)])
    say("responses of the month", store_count * response_count, "responses")
    await owner.execute("create table floor (like counted_response including indexes)")
    floor = await _timed(owner.execute(_FLOOR, MONTH))
    closing = Closing(ModelCatalogue())

    async def close() -> None:
        async with database.transaction(Scope.group()) as session:
            await closing.close(session, MONTH, creator="bench", now=NOW)

    async def reopen() -> None:
        async with database.transaction(Scope.group()) as session:
            await closing.reopen(session, MONTH, creator="bench", reason="bench", etag="", now=NOW)

    closed = await _timed(close())
    await owner.execute(_LATE, MONTH, CHANGED)
    reopened = await _timed(reopen())
    await database.close()
    await owner.close()
    say("floor: copying the responses alone", floor, "s")
    say("closing the month", closed, "s", f"goal <= {GOAL_SECONDS:g}", met=closed <= GOAL_SECONDS)
    say("closing / floor", closed / floor, "x")
    say(f"re-opening it, every {CHANGED}th store changed", reopened, "s")
    return closed <= GOAL_SECONDS


async def _timed(work: object) -> float:
    started = time.perf_counter()
    await work  # type: ignore[misc]
    return time.perf_counter() - started


def main() -> None:
    """Starts a server; ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=1000)
    parser.add_argument("--responses", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        postgres = LocalPostgres(Path(name) / "postgres")
        postgres.start()
        try:
            met = asyncio.run(measure(postgres.url, arguments.stores, arguments.responses))
        finally:
            postgres.stop()
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
