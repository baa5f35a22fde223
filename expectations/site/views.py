"""Data Docs pages that need nothing from the network.

Great Expectations' own pages load style sheets and scripts from six hosts, without which the index
is empty, and a logo whose address carries an id of the installation. The templates beside this
file take the place of those parts; everything else is rendered by Great Expectations (ADR 052).

Imported by Great Expectations, by the name that ``expectations.validation`` gives it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from great_expectations.render.view.view import DefaultJinjaIndexPageView, DefaultJinjaPageView
from jinja2 import ChoiceLoader, FileSystemLoader

TEMPLATES = Path(__file__).parent / "templates"


class PageView(DefaultJinjaPageView):
    """A page of results or expectations."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _prefer_own(self)


class IndexView(DefaultJinjaIndexPageView):
    """The page that lists all others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _prefer_own(self)


def _prefer_own(view: Any) -> None:
    view.env.loader = ChoiceLoader([FileSystemLoader(TEMPLATES), view.env.loader])
