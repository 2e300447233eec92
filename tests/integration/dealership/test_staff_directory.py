"""The staff directory of a service, filled by events and by asking the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from dealerloop.gateway.v1 import organisation_pb2 as pb
from dealership import staff, stores
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.errors import InvalidArgument, Unavailable
from kit.local.process import free_port
from kit.messaging.event import Event
from kit.messaging.subscription import Batch
from kit.rpc.client import Peer
from tests.support import organisation
from tests.support.one_service import OneService
from tests.support.organisation import Gateway, gateway
from tests.support.people import CONSULTANT, changed, colleague, member
from tests.support.postgres import Cloner

NOW = datetime(2026, 3, 6, 17, 30, tzinfo=UTC)
SYSTEM = Scope.system("test")
GM = "ROLE_GENERAL_MANAGER"


@pytest.fixture
async def database(database_urls: Cloner) -> AsyncIterator[Database]:
    """Of a service that keeps the directory."""
    database = Database(database_urls("sales").database_url, pool_size=4)
    yield database
    await database.close()


@pytest.fixture
async def owner(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(database_urls("gateway"), tmp_path / "keys") as running:
        yield running


@pytest.fixture
async def nobody(owner: Gateway) -> AsyncIterator[Peer]:
    """A gateway that is away."""
    peer = Peer(f"127.0.0.1:{free_port()}", owner.context.signer, service="gateway")
    yield peer
    await peer.close()


async def tell(database: Database, *facts: pb.StaffFacts) -> None:
    events = [Event(uuid4(), "", "gateway", NOW, 1, "", changed(one), one.staff_id, {}) for one in facts]
    async with database.transaction(SYSTEM) as session:
        await staff.handle(Batch(session, events, NOW))


async def know_stores(database: Database, **regions: str) -> None:
    facts = [
        pb.StoreFacts(
            store_id=one.replace("_", "-"), version=1, display_name=one, region_id=region, time_zone="Asia/Shanghai"
        )
        for one, region in regions.items()
    ]
    async with database.transaction(SYSTEM) as session:
        await stores.save(session, facts)


async def known(database: Database) -> list[tuple[str, str, bool, int]]:
    async with database.transaction(SYSTEM, read_only=True) as session:
        query = text("select staff_id, display_name, active, version from staff order by staff_id")
        return [(row[0], row[1], row[2], row[3]) for row in await session.execute(query)]


async def test_the_newest_version_wins_in_every_order_and_however_often(database: Database) -> None:
    told = [
        colleague("li-lei", "bj-01", name="Li"),
        colleague("li-lei", "bj-01", name="Li Lei", version=2),
        colleague("li-lei", "bj-01", name="Li Lei", active=False, version=3),
    ]
    for order in permutations(told):
        await tell(database, colleague("li-lei", "bj-01", name="Li"))
        for one in order:
            await tell(database, one)
        await tell(database, *order)
        assert await known(database) == [("li-lei", "Li Lei", False, 3)]
        async with database.transaction(SYSTEM) as session:
            await session.execute(text("delete from staff"))


async def test_somebody_who_is_not_here_yet_is_asked_for_and_kept(
    database: Database, owner: Gateway, nobody: Peer
) -> None:
    await owner.create_store("bj-01")
    await owner.create_staff("li-lei", "ROLE_SALES_CONSULTANT", store="bj-01", display_name="李雷")

    async with database.transaction(Scope.store("bj-01"), read_only=True) as session:
        seen = await staff.get_staff(session, owner.peer, "li-lei")
    assert await known(database) == []
    async with database.transaction(Scope.store("bj-01")) as session:
        asked = await staff.get_staff(session, owner.peer, "li-lei")
    async with database.transaction(Scope.store("sh-01"), read_only=True) as session:
        kept = await staff.get_staff(session, nobody, "li-lei")

    assert seen == asked == kept
    assert (kept.id, kept.display_name, kept.store_id, kept.active) == ("li-lei", "李雷", "bj-01", True)
    assert {(held.role, held.place) for held in kept.roles} == {(CONSULTANT, "stores/bj-01")}


async def test_somebody_whom_nobody_knows_is_unknown_and_never_so_while_the_gateway_is_away(
    database: Database, owner: Gateway, nobody: Peer
) -> None:
    async with database.transaction(SYSTEM) as session:
        with pytest.raises(staff.StaffUnknown):
            await staff.get_staff(session, owner.peer, "no-such")
        with pytest.raises(Unavailable):
            await staff.get_staff(session, nobody, "no-such")


async def test_a_request_may_name_who_works_for_the_store_now(database: Database, owner: Gateway, nobody: Peer) -> None:
    await know_stores(database, bj_01="north")
    await tell(
        database,
        colleague("here", "bj-01"),
        colleague("gone", "bj-01", active=False),
        colleague("there", "sh-01"),
        member("north", ("ROLE_REGIONAL_MANAGER", "regions/north")),
    )

    async def refusal(peer: Peer, staff_id: str) -> list[tuple[str, str]]:
        async with database.transaction(SYSTEM) as session:
            store = await stores.get_store(session, peer, "bj-01")
            try:
                await staff.require(session, peer, staff_id, store=store, field="checker")
            except InvalidArgument as error:
                return [(one.field, one.rule) for one in error.violations]
            return []

    assert await refusal(nobody, "here") == await refusal(nobody, "north") == []
    assert await refusal(nobody, "gone") == [("checker", "STAFF_INACTIVE")]
    assert await refusal(nobody, "there") == [("checker", "STAFF_OF_OTHER_STORE")]
    assert await refusal(owner.peer, "no-such") == [("checker", "STAFF_UNKNOWN")]
    with pytest.raises(Unavailable):
        await refusal(nobody, "no-such")


async def test_a_role_is_held_for_a_store_there_in_its_region_or_in_the_group(database: Database, nobody: Peer) -> None:
    await know_stores(database, bj_01="north", sh_01="")
    await tell(
        database,
        colleague("bj-gm", "bj-01", GM),
        colleague("old-gm", "bj-01", GM, active=False),
        colleague("seller", "bj-01"),
        member("helper", (GM, "stores/sh-01"), home="bj-01"),
        member("north", ("ROLE_REGIONAL_MANAGER", "regions/north")),
        member("group", ("ROLE_GROUP_QUALITY_MANAGER", "group")),
    )

    async with database.transaction(SYSTEM, read_only=True) as session:
        found = {
            (store, role): [one.id for one in await staff.holders(session, store, f"ROLE_{role}")]
            for store in ("bj-01", "sh-01", "no-such")
            for role in ("GENERAL_MANAGER", "REGIONAL_MANAGER", "GROUP_QUALITY_MANAGER", "CARE_MANAGER")
        }
        known = await stores.get_stores(session, nobody, ["sh-01", "bj-01"])
        held = await staff.roles_held(session, known.values())

    assert {key: ids for key, ids in found.items() if ids} == {
        ("bj-01", "GENERAL_MANAGER"): ["bj-gm"],
        ("bj-01", "REGIONAL_MANAGER"): ["north"],
        ("bj-01", "GROUP_QUALITY_MANAGER"): ["group"],
        ("sh-01", "GENERAL_MANAGER"): ["helper"],
        ("sh-01", "GROUP_QUALITY_MANAGER"): ["group"],
        ("no-such", "GROUP_QUALITY_MANAGER"): ["group"],
    }
    quality = "ROLE_GROUP_QUALITY_MANAGER"
    assert held == {
        "bj-01": {GM, CONSULTANT, "ROLE_REGIONAL_MANAGER", quality},
        "sh-01": {GM, quality},
    }


async def test_a_store_means_its_own_people_by_their_names(database: Database) -> None:
    await know_stores(database, bj_01="", sh_01="")
    await tell(
        database,
        colleague("bj.fang", "bj-01", name="王芳"),
        colleague("sh.fang", "sh-01", name="王芳"),
        colleague("sh.fang-2", "sh-01", name="王 芳"),
        colleague("bj.left", "bj-01", name="李娜", active=False),
    )

    async with database.transaction(SYSTEM, read_only=True) as session:
        found = await staff.by_display_name(session, ["bj-01", "sh-01"])

    assert (found["bj-01"].find("王芳"), found["bj-01"].find("李娜")) == ("bj.fang", None)
    assert (found["sh-01"].find("王芳"), found["sh-01"].is_ambiguous("王芳")) == (None, True)


async def test_the_directory_is_built_from_nothing_and_holds_more_people_than_a_statement_takes(
    database: Database, owner: Gateway
) -> None:
    await owner.create_store("bj-01")
    async with owner.context.database.transaction(SYSTEM) as session:
        await session.execute(
            text(
                "insert into staff (staff_id, store_id, display_name, username, roles, disabled, version, create_time) "
                "select 's' || n, 'bj-01', 's' || n, 's' || n, '[]', false, 1, now() from generate_series(1, 5500) n"
            )
        )

    async with database.transaction(SYSTEM) as session:
        assert await staff.rebuild(session, owner.peer) == 5501

    people = await known(database)
    assert len(people) == 5501
    assert people[0] == ("admin", "Administrator", True, 1)


@pytest.mark.parametrize("name", ["sales", "customer_care"])
async def test_every_service_that_names_people_follows_a_gateway_that_was_restored(
    database_urls: Cloner, owner: Gateway, tmp_path: Path, name: str
) -> None:
    await owner.create_store("bj-01")
    await owner.create_staff("li-lei", "ROLE_SALES_CONSULTANT", store="bj-01", display_name="李雷")
    service = OneService(name, database_urls(name), tmp_path / "keys", organisation.NOW)
    target = {"gateway_target": f"127.0.0.1:{owner.running.rpc_port}"}
    service.settings = service.settings.model_copy(update=target)
    await service.start("bj-01")
    try:
        await tell(service.database, colleague("li-lei", "bj-01", name="later", version=7), colleague("never", "bj-01"))

        await service.rewound("staff")

        assert await known(service.database) == [("admin", "Administrator", True, 1), ("li-lei", "李雷", True, 1)]
    finally:
        await service.stop()
