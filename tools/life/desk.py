"""What everybody at work in a store shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time

from tools.life.api import Api
from tools.life.customers import Sale
from tools.life.diary import Diary
from tools.life.group import StorePlan


@dataclass(frozen=True)
class Desk:
    """A store, the way to the system, the notebook, and what was sold so far by VIN."""

    store: StorePlan
    api: Api
    diary: Diary
    sold: dict[str, Sale] = field(default_factory=dict)

    def account(self, job: str) -> str:
        """Whom a job belongs to."""
        return self.store.staff[job].account

    def path(self, what: str) -> str:
        """`/v1/stores/{store}/…`."""
        return f"/v1/{self.store.resource}/{what}"

    def local(self) -> datetime:
        """The store's present."""
        return self.api.now().astimezone(self.store.zone)

    def at(self, day: date, hour: int, minute: int = 0) -> datetime:
        """An instant on the store's clock."""
        return datetime.combine(day, time(hour, minute), self.store.zone)
