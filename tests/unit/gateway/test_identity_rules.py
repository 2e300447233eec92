from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.identity.rules import Failures, LockPolicy, after_failure, assignments, locked_for, regions_in
from gateway.organisation.rules import Held
from kit.rpc.principal import Assignment

NOW = datetime(2026, 3, 6, 9, tzinfo=UTC)
POLICY = LockPolicy(failures=5, duration=timedelta(minutes=15))


def failed(times: int, *, now: datetime = NOW) -> Failures:
    known: Failures | None = None
    for _ in range(times):
        known = after_failure(known, POLICY, now=now)
    assert known is not None
    return known


def test_the_fifth_failure_locks_for_a_quarter_of_an_hour() -> None:
    assert locked_for(failed(4), POLICY, now=NOW) is None
    assert locked_for(failed(5), POLICY, now=NOW) == timedelta(minutes=15)


def test_the_lock_opens_by_itself_and_the_count_starts_again() -> None:
    later = NOW + timedelta(minutes=15)

    assert locked_for(failed(5), POLICY, now=later) is None
    assert after_failure(failed(5), POLICY, now=later).count == 1


def test_old_failures_are_forgotten() -> None:
    later = NOW + timedelta(minutes=16)

    assert after_failure(failed(4), POLICY, now=later).count == 1


def test_somebody_without_failures_is_not_locked() -> None:
    assert locked_for(None, POLICY, now=NOW) is None


def test_a_region_means_its_stores_of_today() -> None:
    roles = [Held("ROLE_REGIONAL_MANAGER", "regions/north"), Held("ROLE_TECHNICIAN", "stores/sh-01")]

    assert regions_in(roles) == {"north"}
    assert assignments(roles, {"north": frozenset({"bj-01", "tj-01"})}) == (
        Assignment("ROLE_REGIONAL_MANAGER", frozenset({"bj-01", "tj-01"})),
        Assignment("ROLE_TECHNICIAN", frozenset({"sh-01"})),
    )


def test_a_region_without_stores_gives_no_reach_at_all() -> None:
    (assignment,) = assignments([Held("ROLE_REGIONAL_MANAGER", "regions/empty")], {})

    assert assignment.stores == frozenset()


def test_a_role_held_in_the_group_does_not_need_its_stores() -> None:
    roles = [Held("ROLE_REPORTING_CLIENT", "stores/bj-01"), Held("ROLE_REPORTING_CLIENT", "group")]

    assert assignments(roles, {}) == (Assignment("ROLE_REPORTING_CLIENT", None),)
