"""Which names can be a table, a column or a topic."""

from __future__ import annotations

import re
from typing import Final

IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
IDENTIFIER_RULE: Final = (
    "lower-case letters, digits and underscores, beginning with a letter, at most 63"
)
TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")

TAKEN_TABLES: Final = frozenset({"dead_letters"})
"""Bronze tables that are no contract's."""

RESERVED_WORDS: Final = frozenset(
    {
        "all", "analyse", "analyze", "and", "anti", "any", "array", "as", "asc", "asof",
        "asymmetric", "at", "authorization", "binary", "both", "by", "case", "cast", "check",
        "collate", "collation", "column", "concurrently", "constraint", "create", "cross",
        "default", "deferrable", "desc", "describe", "distinct", "do", "else", "end", "except",
        "false", "fetch", "for", "foreign", "freeze", "from", "full", "glob", "group", "having",
        "ilike", "in", "initially", "inner", "intersect", "into", "is", "isnull", "join",
        "lambda", "lateral", "leading", "left", "like", "limit", "natural", "not", "notnull",
        "null", "offset", "on", "only", "or", "order", "outer", "overlaps", "pivot",
        "pivot_longer", "pivot_wider", "placing", "positional", "primary", "qualify",
        "references", "returning", "right", "select", "semi", "show", "similar", "some",
        "summarize", "symmetric", "table", "tablesample", "then", "to", "trailing", "true",
        "union", "unique", "unpack", "unpivot", "using", "variadic", "verbose", "when", "where",
        "window", "with",
    }
)  # fmt: skip
"""Words that DuckDB takes as a name only in quotation marks."""


def why_no_identifier(name: str) -> str | None:
    """Say why ``name`` cannot be a table or column without quotation marks; None if it can."""
    if name.startswith("_"):
        return "a name that does not begin with an underscore: those are lakeward's own columns"
    if not IDENTIFIER.fullmatch(name):
        return f"a name that SQL takes as it is ({IDENTIFIER_RULE})"
    if name in RESERVED_WORDS:
        return "a name that is no reserved word of SQL"
    return None


def is_topic(name: str) -> bool:
    """True when Kafka would take ``name`` as a topic."""
    return TOPIC.fullmatch(name) is not None and name not in {".", ".."}
