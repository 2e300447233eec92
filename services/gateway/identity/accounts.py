"""Signing in, one's own account, and the first administrator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from weakref import WeakValueDictionary

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.gateway.v1 import organisation_pb2 as pb
from dealership.roles import GRANTS
from gateway.identity import passwords
from gateway.identity.model import FailedSignIn
from gateway.identity.rules import Failures, LockPolicy, after_failure, assignments, locked_for, regions_in
from gateway.organisation import rules as organisation
from gateway.organisation import staff as directory
from gateway.organisation import stores
from gateway.organisation.model import Staff, StoredRole
from gateway.organisation.reach import whole_group
from kit.clock import Clock
from kit.db.engine import Database
from kit.db.scope import Scope
from kit.errors import FieldViolation, InvalidArgument, TooMany, Unauthenticated
from kit.log import log
from kit.rpc.principal import Assignment, Principal
from kit.rpc.tokens import TokenSigner
from kit.vault import Vault

_PURPOSE: Final = "gateway.username"
_FORGET_AT_ONCE: Final = 100
# Hashing takes 19 MiB and a core each: a flood of sign-ins queues here and not in memory.
_HASHING_AT_ONCE: Final = 2
_CHANGING_AT_ONCE: Final = 3
_LONGEST_NAME: Final = 200
_FIRST: Final = "admin"
_BOOTSTRAP_LOCK: Final = 0x61646D696E


class CredentialsRefused(Unauthenticated):
    """User name and password do not go together, the account is disabled, or there is none: it is not told which."""

    reason = "CREDENTIALS_REFUSED"


class AccountLocked(TooMany):
    """Too many failures for this user name, whether it exists or not."""

    reason = "ACCOUNT_LOCKED"


class WrongPassword(InvalidArgument):
    """The current password is another one."""

    reason = "PASSWORD_WRONG"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token and how long it is good for."""

    token: str
    life: timedelta


class Accounts:
    """Everything that needs a password."""

    def __init__(
        self,
        database: Database,
        signer: TokenSigner,
        vault: Vault,
        clock: Clock,
        *,
        policy: LockPolicy,
        token_life: timedelta,
    ) -> None:
        self._database = database
        self._signer = signer
        self._vault = vault
        self._clock = clock
        self._policy = policy
        self._token_life = token_life
        self._hashing = asyncio.Semaphore(_HASHING_AT_ONCE)
        self._changing = 0
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def sign_in(self, username: str, password: str) -> IssuedToken:
        """Return a token for the right password.

        A user name that does not exist is treated like one that does: hashed against, counted, locked.
        Raises CredentialsRefused, or AccountLocked with the time to wait.
        """
        name = username.strip().casefold()[:_LONGEST_NAME]
        granted: tuple[Assignment, ...] = ()
        async with self._counted(name) as attempt:
            staff = await attempt.session.scalar(sa.select(Staff).where(Staff.username == name))
            stored = staff.password_hash if staff is not None and not staff.disabled else None
            attempt.succeeded = await passwords.matches(stored, password)
            if attempt.succeeded and staff is not None and stored is not None:
                granted = await _granted(attempt.session, staff)
                if passwords.outdated(stored):
                    staff.password_hash = await passwords.hashed(password)
        if staff is None or not attempt.succeeded:
            log.info("sign_in.refused")
            raise CredentialsRefused("user name or password is wrong")
        log.info("sign_in.accepted", staff_id=staff.staff_id)
        return IssuedToken(self._signer.user_token(staff.staff_id, granted, self._token_life), self._token_life)

    async def get(self, session: AsyncSession, staff_id: str) -> Staff:
        """Return the caller's own account. Raises CredentialsRefused when it is gone or disabled."""
        async with whole_group(session, "own account"):
            staff = await session.get(Staff, staff_id)
        if staff is None or staff.disabled:
            raise CredentialsRefused("sign in again")
        return staff

    async def change_password(self, session: AsyncSession, staff_id: str, *, current: str, new: str) -> Staff:
        """Give the caller's own account another password.

        A wrong current password counts like a failed sign-in, so that a stolen token cannot be used to guess it.
        Raises WrongPassword (field current_password), WeakPassword, AccountLocked, CredentialsRefused.
        """
        staff = await self.get(session, staff_id)
        known = [staff.staff_id, staff.username]
        organisation.check_password(new, known=known, field="new_password")
        with self._few_changes():
            async with self._counted(staff.username) as attempt:
                attempt.succeeded = await passwords.matches(staff.password_hash, current)
        if not attempt.succeeded:
            violation = FieldViolation("current_password", "PASSWORD_WRONG", "this is not the password in use")
            raise WrongPassword("the current password is wrong", violations=[violation])
        async with whole_group(session, "own account"):
            staff.password_hash = await passwords.hashed(new)
            staff.version += 1
            await session.flush()
        log.info("password.changed", staff_id=staff_id)
        return staff

    async def ensure_first(self, password: str | None) -> bool:
        """Create the administrator `admin` when there is no account at all; returns whether it did."""
        # Also makes the hash that unknown user names are compared with, so that the first of them is not slower.
        await passwords.matches(None, "")
        async with self._database.transaction(Scope.system("first administrator")) as session:
            # Several processes start at once; one of them creates.
            await _lock(session, _BOOTSTRAP_LOCK)
            if await session.scalar(sa.select(Staff.staff_id).limit(1)) is not None:
                return False
            if not password:
                log.warning("first_administrator.no_password", variable="DEALERLOOP_ADMIN_PASSWORD")
                return False
            now = self._clock.now()
            first = _administrator(await passwords.hashed(password), now)
            session.add(first)
            await directory.tell(session, first, now=now)
        log.info("first_administrator.created", staff_id=_FIRST)
        return True

    @asynccontextmanager
    async def _counted(self, name: str) -> AsyncIterator[_Attempt]:
        """One attempt for this user name at a time, in all processes, so that parallel guesses are counted too.

        Its transaction is separate from any other: a failure counts although the call fails.
        """
        account = self._vault.blind(_PURPOSE, name)
        turn = self._turns.setdefault(account, asyncio.Lock())
        async with turn, self._hashing, self._database.transaction(Scope.system("sign-in")) as session:
            await _lock(session, int.from_bytes(account[:8], signed=True))
            now = self._clock.now()
            attempt = _Attempt(session)
            row = await session.get(FailedSignIn, account)
            known = Failures(row.failures, row.expire_time) if row is not None else None
            wait = locked_for(known, self._policy, now=now)
            if wait is not None:
                raise AccountLocked("too many failed attempts, try again later", retry_after=wait)
            yield attempt
            if not attempt.succeeded:
                await _remember(session, account, after_failure(known, self._policy, now=now), now=now)
            elif row is not None:
                await session.delete(row)

    @contextmanager
    def _few_changes(self) -> Iterator[None]:
        # Each holds two connections; a crowd of them would keep the pool from everybody else.
        if self._changing >= _CHANGING_AT_ONCE:
            raise TooMany("too many password changes at once", retry_after=timedelta(seconds=1))
        self._changing += 1
        try:
            yield
        finally:
            self._changing -= 1


@dataclass(slots=True)
class _Attempt:
    session: AsyncSession
    succeeded: bool = False


async def _granted(session: AsyncSession, staff: Staff) -> tuple[Assignment, ...]:
    held = directory.stored_roles(staff)
    return assignments(held, await stores.stores_of_regions(session, regions_in(held)))


def grants_of(principal: Principal) -> list[pb.Grant]:
    """Return what the caller's token allows, each permission and place once, in order."""
    return [pb.Grant(permission=permission, place=place) for permission, place in sorted(set(_grants(principal)))]


def _grants(principal: Principal) -> Iterator[tuple[str, str]]:
    for assignment in principal.assignments:
        for permission in GRANTS.get(assignment.role, frozenset()):
            for place in _places(assignment):
                yield permission, place


def _places(assignment: Assignment) -> list[str]:
    return [organisation.GROUP] if assignment.stores is None else [f"stores/{store}" for store in assignment.stores]


async def _lock(session: AsyncSession, number: int) -> None:
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.literal(number, sa.BigInteger))))


async def _remember(session: AsyncSession, account: bytes, failures: Failures, *, now: datetime) -> None:
    values = {"failures": failures.count, "expire_time": failures.expire_time}
    statement = insert(FailedSignIn).values(account=account, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["account"], set_=values))
    # Names that nobody has are counted too; what has run out goes, so that they do not pile up.
    over = sa.select(FailedSignIn.account).where(FailedSignIn.expire_time < now)
    old = over.limit(_FORGET_AT_ONCE).with_for_update(skip_locked=True)
    await session.execute(sa.delete(FailedSignIn).where(FailedSignIn.account.in_(old)))


def _administrator(password_hash: str, now: datetime) -> Staff:
    return Staff(
        staff_id=_FIRST,
        store_id=None,
        display_name="Administrator",
        username=_FIRST,
        password_hash=password_hash,
        roles=[StoredRole(role="ROLE_ADMINISTRATOR", place=organisation.GROUP)],
        disabled=False,
        version=1,
        create_time=now,
    )
