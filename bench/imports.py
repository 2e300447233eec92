"""Lists of deliveries: a real one from the POST to its end, and a long one against plain COPY of the same rows.

Floor: COPY, from binary files, of every row that the import left in the database of sales, into the same tables with
their keys, indexes and checks, in the order of their references. Product: the same list as a text file, from
CreateImport to DONE: received in pieces and sealed, read, checked, kept as the confirmed set, looked up, taken over
with sealed personal data, search indexes and an event for each delivery.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import asyncpg
import psutil
import uvloop

from bench.reporting import say
from dealerloop.imports.v1.imports_pb2 import AppendImportDataRequest, CreateImportRequest, GetImportRequest, Import
from kit.db.migrate import upgrade_async
from kit.local.postgres import LocalPostgres
from kit.local.provision import Naming, provision_async
from tests.support.deliveries import vin_of
from tests.support.imports import ENDED, form
from tests.support.loop import Group
from tests.support.one_service import OneService
from tests.support.postgres import DatabaseUrls
from tests.support.stack import Stack

ROWS: Final = 200_000
WARM_UP: Final = 5_000
REAL_ROWS: Final = 3_500
GOAL_SECONDS: Final = 10.0
GOAL_RATIO: Final = 0.2
GOAL_GROWTH_MIB: Final = 128.0
PIECE: Final = 1024 * 1024
_READER: Final = "kit.imports.apart"
_LOOKS_FOR_A_READER: Final = 25
SERVICE: Final = "sales"
STORE: Final = "bj-01"
NOW: Final = datetime(2026, 5, 20, 4, 0, tzinfo=UTC)
REAL: Final = Path(__file__).parents[2] / "shared" / "data" / "vehicle_sales" / "honda_odyssey_sales.csv"
REAL_MAPPING: Final = {
    "columns": {"deliveryTime": "SALEDATE", "series": "MODEL", "customer.displayName": "SELLER"},
}
HEADERS: Final = "车架号,品牌,车系,车型,客户姓名,手机号码,交车时间,开票日期,里程,销售顾问"

# Tables before those that refer to them.
_TABLES: Final = """
with recursive tables as (
    select c.oid, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind = 'r'
), depth as (
    select oid, relname, 0 as level from tables
    union
    select t.oid, t.relname, d.level + 1
    from depth d join pg_constraint r on r.confrelid = d.oid and r.contype = 'f' and r.conrelid <> r.confrelid
    join tables t on t.oid = r.conrelid
    where d.level < 20
)
select relname from depth group by relname order by max(level), relname
"""
_COLUMNS: Final = """
select attname from pg_attribute
where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum
"""


def write_list(path: Path, rows: int, consultant: str = "li-lei") -> None:
    """Deliveries of three years in one store, to as many people."""
    first = date(2023, 1, 1)
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADERS + "\r\n")
        for number in range(rows):
            day = first + timedelta(days=number % 1000)
            file.write(
                f"{vin_of(number)},Nissan,Paladin,Paladin 2.5 4WD,客户{number},{13_000_000_000 + number * 7},"
                f"{day} {9 + number % 9}:{number % 60:02d},{day},{number % 40},{consultant}\r\n"
            )


def pieces(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """A file as it is sent: place, content and whether it is the last piece."""
    size, offset = path.stat().st_size, 0
    with path.open("rb") as file:
        while offset < size:
            data = file.read(PIECE)
            yield offset, data, offset + len(data) == size
            offset += len(data)


class Memory:
    """How much this process grows while it is watched, with the process that reads a large file for it; in MiB."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._reader: psutil.Process | None = None
        self._base = self._now()
        self.growth = 0.0

    def _now(self) -> float:
        size = float(self._process.memory_info().rss)
        with suppress(psutil.NoSuchProcess):
            size += 0 if self._reader is None else self._reader.memory_info().rss
        return size / 2**20

    def _find_reader(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self._reader = next((one for one in self._process.children() if _READER in one.cmdline()), None)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Looks fifty times a second."""
        gc.collect()
        self._base = self._now()
        done = threading.Event()

        def look() -> None:
            for place in count():
                if done.wait(0.02):
                    return
                if place % _LOOKS_FOR_A_READER == 0:
                    self._find_reader()
                self.growth = max(self.growth, self._now() - self._base)

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


class Product:
    """Sales alone, with its worker driven here."""

    def __init__(self, service: OneService) -> None:
        self._service = service
        self._token = service.token("ROLE_SALES_MANAGER", STORE)

    async def run(self, path: Path) -> tuple[Import, dict[str, float]]:
        """Brings the list in; returns the import and the seconds of each phase."""
        seconds = {}
        started = time.perf_counter()
        name = await self._send(path)
        seconds["received"] = time.perf_counter() - started
        found = await self._get(name)
        while found.state in {Import.STATE_CHECKING, Import.STATE_TAKING_OVER}:
            begun, state = time.perf_counter(), found.state
            await asyncio.gather(*(job.work_once() for job in self._service.service.jobs))
            found = await self._get(name)
            what = "checked" if state == Import.STATE_CHECKING else "taken over"
            seconds[what] = seconds.get(what, 0.0) + time.perf_counter() - begun
        seconds["all"] = time.perf_counter() - started
        return found, seconds

    async def _send(self, path: Path) -> str:
        request = CreateImportRequest(parent=f"stores/{STORE}", request_id=str(path))
        getattr(request, "import").file_name = path.name
        made = await self._call("CreateImport", request)
        for offset, data, last in pieces(path):
            piece = AppendImportDataRequest(
                name=made.name, offset=offset, data=data, last=last, request_id=f"{path.name} {offset}"
            )
            await self._call("AppendImportData", piece)
        return made.name

    async def _get(self, name: str) -> Import:
        return await self._call("GetImport", GetImportRequest(name=name))

    async def _call(self, method: str, request: Any) -> Import:
        return await self._service.call(f"DeliveryImportService/{method}", request, Import, token=self._token)


async def database(superuser_url: str, prefix: str) -> DatabaseUrls:
    """A migrated database of sales."""
    naming = Naming(prefix)
    urls = (await provision_async(superuser_url, [SERVICE], "bench", naming=naming))[SERVICE]
    await upgrade_async(urls[1], SERVICE)
    return DatabaseUrls(*urls, naming.database(SERVICE))


async def count_rows(connection: asyncpg.Connection) -> dict[str, int]:
    """Rows by table, in an order in which they can be written."""
    names = [row["relname"] for row in await connection.fetch(_TABLES)]
    return {name: await connection.fetchval(f'select count(*) from "{name}"') for name in names}


async def floor(superuser_url: str, source: str, target: str, written: list[str], folder: Path) -> float:
    """Copies these tables; returns the seconds of writing."""
    server = superuser_url.rsplit("/", 1)[0]
    out, into = await asyncpg.connect(f"{server}/{source}"), await asyncpg.connect(f"{server}/{target}")
    seconds = 0.0
    for table in written:
        path = folder / f"{table}.bin"
        columns = [row["attname"] for row in await out.fetch(_COLUMNS, table)]
        await out.copy_from_table(table, columns=columns, output=path, format="binary")
        begun = time.perf_counter()
        await into.copy_to_table(table, columns=columns, source=path, format="binary")
        seconds += time.perf_counter() - begun
        path.unlink()
    await out.close()
    await into.close()
    return seconds


async def measure_long(postgres_url: str, folder: Path, rows: int) -> bool:
    """The long list, after a shorter one elsewhere has loaded what is loaded once; whether the goals were reached."""
    short, long = folder / "short.csv", folder / "long.csv"
    write_list(short, WARM_UP)
    write_list(long, rows)
    product_urls, floor_urls = await database(postgres_url, "product_"), await database(postgres_url, "floor_")
    warm = await OneService(SERVICE, await database(postgres_url, "warm_"), folder / "keys", NOW).start(STORE)
    await Product(warm).run(short)
    await warm.stop()
    service = await OneService(SERVICE, product_urls, folder / "more-keys", NOW).start(STORE)
    superuser = await asyncpg.connect(f"{postgres_url.rsplit('/', 1)[0]}/{product_urls.name}")
    before = await count_rows(superuser)
    # As a service's own process does once it has started.
    gc.collect()
    gc.freeze()
    memory = Memory()
    with memory.watched():
        found, seconds = await Product(service).run(long)
    assert (found.state, found.taken) == (Import.STATE_DONE, rows), found
    after = await count_rows(superuser)
    await superuser.close()
    await service.stop()
    written = [table for table, count in after.items() if count and not before[table]]
    floor_seconds = await floor(postgres_url, product_urls.name, floor_urls.name, written, folder)
    for what in ("received", "checked", "taken over"):
        say(f"{rows} rows {what}", seconds[what], "s")
    say("rows left in sales' database by the import", sum(after[table] for table in written), "rows")
    say("floor: COPY of these rows into the same tables", floor_seconds, "s")
    say("product: CreateImport to DONE", seconds["all"], "s")
    say("a row of the list", seconds["all"] * 1e6 / rows, "µs")
    ratio = floor_seconds / seconds["all"]
    say("product / floor", ratio, "x", f"goal >= {GOAL_RATIO}", met=ratio >= GOAL_RATIO)
    flat = memory.growth < GOAL_GROWTH_MIB
    say("memory that the process grew by", memory.growth, "MiB", f"goal < {GOAL_GROWTH_MIB:.0f}", met=flat)
    return ratio >= GOAL_RATIO and flat


def measure_real(folder: Path) -> bool:
    """A list of 3,500 rows through the whole product, from the POST to DONE; whether the goal was reached."""
    with Stack(folder).running() as stack:
        group = Group(stack)
        if REAL.is_file():
            content, mapping = REAL.read_bytes(), REAL_MAPPING
        else:
            made = folder / "generated.csv"
            write_list(made, REAL_ROWS, group.consultant().rpartition("/")[2])
            content, mapping = made.read_bytes(), {}
        clerk = group.people["information_clerk"]
        begun = time.perf_counter()
        answer = clerk.post(
            f"/v1/{group.store}/deliveries:import", files=form(content, "sales.csv", mapping=mapping), timeout=120
        )
        assert answer.status_code in {200, 202}, answer.text
        found = answer.json()
        while found["state"] not in ENDED:
            time.sleep(0.05)
            found = group.must(clerk.get(f"/v1/{found['name']}"))
        seconds = time.perf_counter() - begun
        say(
            "rows of the list, real" if REAL.is_file() else "rows of the list, generated",
            int(found["rowCount"]),
            "rows",
        )
        say("taken", int(found["taken"]), "rows")
        for reason, count in sorted(found["rejectedByReason"].items()):
            say(f"rejected: {reason}", int(count), "rows")
        say("POST of the file → DONE", seconds, "s", f"goal < {GOAL_SECONDS:.0f}", met=seconds < GOAL_SECONDS)
        taken = int(found["taken"])
        stack.wait_for(
            "the care plans",
            lambda: stack.count("customer_care", "select count(*) from care_plan") >= taken,
            seconds=120,
        )
        say("POST of the file → every care plan", time.perf_counter() - begun, "s")
        return seconds < GOAL_SECONDS


def main() -> None:
    """Runs one part or both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("real", "long"))
    parser.add_argument("--rows", type=int, default=ROWS)
    arguments = parser.parse_args()
    met = True
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if arguments.only != "long":
            met = measure_real(folder / "stack")
        if arguments.only != "real":
            postgres = LocalPostgres(folder / "postgres")
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    met = runner.run(measure_long(postgres.start(), folder, arguments.rows)) and met
            finally:
                postgres.stop()
    if not met:
        sys.exit(1)


if __name__ == "__main__":
    main()
