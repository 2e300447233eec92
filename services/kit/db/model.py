"""The base of mapped classes: one way to store each Python type."""

import enum
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Date, DateTime, Enum, LargeBinary, MetaData, Numeric, Text, Time, Uuid, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapper

NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}
# Lazy loading would be a hidden query per row, and cannot work under asyncio at all.
_EXPLICIT = {"raise", "raise_on_sql", "joined", "selectin", "subquery", "noload", "write_only", True}


# Tables by top-level package: two services may use the same table name, and still run in one process of a test.
_tables: dict[str, MetaData] = {}


class Base(DeclarativeBase):
    """Every service's mapped classes derive from a subclass of this one or from it.

    Instants are timestamptz, text is unlimited, whole numbers are bigint, enums are stored by name as text, dicts
    are jsonb, lists of text are arrays. Relationships must say how they load; `lazy="raise"` is the rule.
    """

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        date: Date(),
        time: Time(),
        UUID: Uuid(),
        str: Text(),
        int: BigInteger(),
        bytes: LargeBinary(),
        Decimal: Numeric(),
        dict[str, Any]: JSONB(),
        list[str]: ARRAY(Text()),
        list[int]: ARRAY(BigInteger()),
        list[bytes]: ARRAY(LargeBinary()),
        enum.Enum: Enum(enum.Enum, native_enum=False, create_constraint=False, length=None),
    }

    def __init_subclass__(cls, **kw: Any) -> None:
        """Give the class the metadata of its service, unless it or a base of it has one of its own."""
        if cls.metadata is Base.metadata:
            cls.metadata = _tables.setdefault(cls.__module__.split(".")[0], MetaData(naming_convention=NAMING))
        super().__init_subclass__(**kw)


@event.listens_for(Mapper, "mapper_configured")
def _relationships_say_how_they_load(mapper: Mapper[Any], mapped: type[Any]) -> None:
    if not issubclass(mapped, Base):
        return
    for relationship in mapper.relationships:
        if relationship.lazy == "select":
            raise TypeError(f'{mapped.__name__}.{relationship.key} must say how it loads, such as lazy="raise"')
