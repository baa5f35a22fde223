"""What a page is: panels for one kind of reader, and the filters that they share."""

from __future__ import annotations

from dataclasses import dataclass

from serving.dashboard.answers import Question
from serving.dashboard.panel import Panel


@dataclass(frozen=True, slots=True)
class Options:
    """A filter of a page and the values that it offers."""

    name: str
    label: str
    mart: str
    column: str

    def question(self, tenant: str | None) -> Question:
        """Return the query of the values, those of one tenant if one is picked."""
        condition = "tenant_id = $tenant and" if tenant is not None else ""
        return Question(
            f"select distinct {self.column} from {self.mart} "
            f"where {condition} {self.column} is not null order by 1 limit 500",
            {} if tenant is None else {"tenant": tenant},
            (self.mart,),
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Panels for one kind of reader, with filters that they share."""

    path: str
    title: str
    about: str
    panels: tuple[Panel, ...]
    options: tuple[Options, ...]
    newest: tuple[str, str]
    """Mart and column whose newest day the default period ends with."""
    has_dates: bool = True

    def newest_day(self) -> Question:
        """Return the query of the newest day."""
        mart, column = self.newest
        return Question(f"select max({column}) from {mart}", {}, (mart,))
