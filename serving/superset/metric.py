"""The few forms that a metric on a dashboard may have: an aggregate of a mart's column, or a ratio.

That is the rule of this layer as a grammar: a number of gold is added up over rows, and nothing is
defined here. What a definition cannot say belongs into a mart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_AGGREGATE: Final = r"(sum|max|min|avg)\((\w+)\)"
_FORM: Final = re.compile(rf"(?:count\(\*\)|{_AGGREGATE}(?: / {_AGGREGATE})?)")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a dataset."""

    name: str
    text: str
    """``sum(a)``, ``max(a)``, ``min(a)``, ``avg(a)``, ``count(*)``, or one of them over another."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The mart's columns that it reads."""
        return tuple(re.findall(r"\((\w+)\)", self.text))

    @property
    def sql(self) -> str:
        """DuckDB's SQL; a ratio over nothing is null, as in the marts."""
        upper, slash, lower = self.text.partition(" / ")
        return f"{upper} / nullif({lower}, 0)" if slash else upper

    @property
    def measured(self) -> str:
        """The name whose ending tells the unit: the column's, or for a ratio the metric's own."""
        return self.columns[0] if len(self.columns) == 1 else self.name


def is_metric(text: str) -> bool:
    """Tell whether ``text`` has one of the forms."""
    return _FORM.fullmatch(text) is not None
