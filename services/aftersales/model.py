"""The base of the after-sales tables: metadata of their own, so that other services may use the same table names."""

from __future__ import annotations

from sqlalchemy import MetaData

from kit.db.model import NAMING, Base


class AftersalesTable(Base):
    """A table of the after-sales database."""

    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING)
