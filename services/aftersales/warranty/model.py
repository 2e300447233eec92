"""Policies, plans and terms as they are stored."""

from __future__ import annotations

from datetime import date

from sqlalchemy import ForeignKeyConstraint, Integer
from sqlalchemy.orm import Mapped, mapped_column, relationship

from aftersales.model import AftersalesTable
from aftersales.warranty.values import (
    ComponentGroup,
    PlanVersion,
    PolicyKind,
    PolicyVersion,
    Span,
    Term,
    Validity,
)


class PolicySpan(AftersalesTable):
    """How long a policy version covers one component group."""

    __tablename__ = "warranty_policy_span"
    __table_args__ = (
        ForeignKeyConstraint(
            ["policy", "version"], ["warranty_policy_version.policy", "warranty_policy_version.version"]
        ),
    )

    policy: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    component_group: Mapped[ComponentGroup] = mapped_column(primary_key=True)
    months: Mapped[int] = mapped_column(Integer)
    distance_km: Mapped[int] = mapped_column(Integer)


class Policy(AftersalesTable):
    """A configuration row: one published, immutable version of a policy, with its source (WAR-01)."""

    __tablename__ = "warranty_policy_version"

    policy: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[PolicyKind]
    brand_patterns: Mapped[list[str]]
    series_patterns: Mapped[list[str]]
    effective_from: Mapped[date]
    effective_to: Mapped[date | None]
    source: Mapped[str]
    verified: Mapped[bool]
    note: Mapped[str]
    spans: Mapped[list[PolicySpan]] = relationship(lazy="joined")

    def value(self) -> PolicyVersion:
        """Return it as the rules see it."""
        spans = {span.component_group: Span(span.months, span.distance_km) for span in self.spans}
        return PolicyVersion(self.policy, self.version, self.kind, _validity(self), spans)


class Plan(AftersalesTable):
    """A configuration row: one published, immutable version of a maintenance plan, with its source (AFT-04)."""

    __tablename__ = "maintenance_plan_version"

    plan: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    brand_patterns: Mapped[list[str]]
    series_patterns: Mapped[list[str]]
    effective_from: Mapped[date]
    effective_to: Mapped[date | None]
    first_service_months: Mapped[int] = mapped_column(Integer)
    first_service_km: Mapped[int] = mapped_column(Integer)
    free_services: Mapped[int] = mapped_column(Integer)
    assumed: Mapped[list[str]]
    source: Mapped[str]
    verified: Mapped[bool]
    note: Mapped[str]

    def value(self) -> PlanVersion:
        """Return it as the rules see it."""
        span = Span(self.first_service_months, self.first_service_km)
        return PlanVersion(self.plan, self.version, _validity(self), span, self.free_services, tuple(self.assumed))


class WarrantyTerm(AftersalesTable):
    """A group row: the effective term of one component group of a vehicle; `end_date` is the last covered day."""

    __tablename__ = "warranty_term"

    vin: Mapped[str] = mapped_column(primary_key=True)
    component_group: Mapped[ComponentGroup] = mapped_column(primary_key=True)
    months: Mapped[int] = mapped_column(Integer)
    distance_km: Mapped[int] = mapped_column(Integer)
    end_date: Mapped[date]
    policy_version: Mapped[str]
    statutory_version: Mapped[str]
    statutory: Mapped[bool]

    def value(self) -> Term:
        """Return it as the rules see it."""
        return Term(
            self.component_group,
            self.months,
            self.distance_km,
            self.end_date,
            self.policy_version,
            self.statutory_version,
            self.statutory,
        )


def _validity(row: Policy | Plan) -> Validity:
    return Validity(tuple(row.brand_patterns), tuple(row.series_patterns), row.effective_from, row.effective_to)
