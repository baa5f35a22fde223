"""Data Docs pages that need nothing from the network.

Great Expectations' own pages load style sheets and scripts from six hosts, without which the index
is empty, and a logo whose address carries an id of the installation. The templates beside this
file take the place of those parts; everything else is rendered by Great Expectations (ADR 052).

Great Expectations puts values into a page as they are. Those that break a rule came from whoever
sent the event, so they are escaped here: a page of results must run nobody's script.

Imported by Great Expectations, by the name that ``expectations.validation`` gives it.
"""

from __future__ import annotations

from html import escape, unescape
from pathlib import Path
from typing import Any

from great_expectations.render.view.view import DefaultJinjaIndexPageView, DefaultJinjaPageView
from jinja2 import ChoiceLoader, FileSystemLoader

VALUES = {"params", "table"}
MARKUP = {"html_success_icon"}
"""Parameters that are Great Expectations' own markup."""
TEMPLATES = Path(__file__).parent / "templates"


class PageView(DefaultJinjaPageView):
    """A page of results or expectations."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _prefer_own(self)

    def _validate_document(self, document: Any) -> None:
        """Take a document that ``render`` has turned into plain values."""

    def render(self, document: Any, template: Any = None, **kwargs: Any) -> Any:
        """Return the page as HTML."""
        untyped: Any = super()
        return untyped.render(escaped(document.to_json_dict()), template, **kwargs)


class IndexView(DefaultJinjaIndexPageView):
    """The page that lists all others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _prefer_own(self)


def escaped(node: Any, *, is_value: bool = False) -> Any:
    """Return a rendered document whose values are text, whatever they hold.

    Values are the parameters of templates and the plain cells of tables; what else is in a document
    is Great Expectations' own.
    """
    if isinstance(node, str):
        return escape(unescape(node)) if is_value else node  # some are escaped already
    if isinstance(node, list):
        return [escaped(one, is_value=is_value) for one in node]
    if isinstance(node, dict):
        return {
            name: one if name in MARKUP else escaped(one, is_value=_holds(node, name, is_value))
            for name, one in node.items()
        }
    return node


def _holds(node: dict[str, Any], name: str, is_value: bool) -> bool:
    """Tell whether a member holds values: its name says so, or it is inside of one that does."""
    return name in VALUES or (is_value and "content_block_type" not in node)


def _prefer_own(view: Any) -> None:
    view.env.loader = ChoiceLoader([FileSystemLoader(TEMPLATES), view.env.loader])
