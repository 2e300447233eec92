"""What the rules say of a satisfaction model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Indicator:
    """One measured indicator; `weight` in hundredths."""

    code: str
    titles: dict[str, str]
    weight: int
    weight_to_be_set: bool = False


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of the index; `weight` in hundredths."""

    code: str
    titles: dict[str, str]
    weight: int
    indicators: tuple[Indicator, ...]


@dataclass(frozen=True)
class SatisfactionModel:
    """One version of a model: index → factors → indicators."""

    code: str
    version: int
    index_code: str
    titles: dict[str, str]
    source: str
    minimum_sample: int
    factors: tuple[Factor, ...]

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"satisfactionModels/{self.code}/versions/{self.version}"

    @cached_property
    def indicator_codes(self) -> frozenset[str]:
        """The codes of all indicators."""
        return frozenset(indicator.code for factor in self.factors for indicator in factor.indicators)

    @cached_property
    def titles_by_code(self) -> dict[str, dict[str, str]]:
        """Titles of the index, the factors and the indicators, by code."""
        titles = {self.index_code: self.titles}
        for factor in self.factors:
            titles[factor.code] = factor.titles
            titles.update((indicator.code, indicator.titles) for indicator in factor.indicators)
        return titles
