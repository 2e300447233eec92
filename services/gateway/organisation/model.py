"""Regions, stores and staff as they are stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kit.db.model import NAMING, Base


class GatewayModel(Base):
    """The gateway's own metadata: its `store` is the owner's table, not the projection that other services keep."""

    __abstract__ = True
    metadata = sa.MetaData(naming_convention=NAMING)


class Region(GatewayModel):
    """A region (大区); a configuration row."""

    __tablename__ = "region"

    region_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    display_name: Mapped[str] = mapped_column(sa.Text)
    create_time: Mapped[datetime]


class Store(GatewayModel):
    """A store (4S店) and its business calendar; `version` grows with every change of either."""

    __tablename__ = "store"

    store_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    display_name: Mapped[str] = mapped_column(sa.Text)
    region_id: Mapped[str | None] = mapped_column(sa.Text, sa.ForeignKey("region.region_id"))
    time_zone: Mapped[str] = mapped_column(sa.Text)
    calendar: Mapped[dict[str, Any]] = mapped_column(JSONB)
    version: Mapped[int] = mapped_column(sa.BigInteger)
    create_time: Mapped[datetime]


class StoredRole(TypedDict):
    """A role and the place where it is held: `group`, `regions/{region}` or `stores/{store}`."""

    role: str
    place: str


class Staff(GatewayModel):
    """An account; `store_id` is the store that it belongs to, none for the group, a region, a reporting client."""

    __tablename__ = "staff"

    staff_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    store_id: Mapped[str | None] = mapped_column(sa.Text, sa.ForeignKey("store.store_id"))
    display_name: Mapped[str] = mapped_column(sa.Text)
    username: Mapped[str] = mapped_column(sa.Text, unique=True)
    password_hash: Mapped[str | None] = mapped_column(sa.Text)
    roles: Mapped[list[StoredRole]] = mapped_column(JSONB)
    disabled: Mapped[bool]
    version: Mapped[int] = mapped_column(sa.BigInteger)
    create_time: Mapped[datetime]
