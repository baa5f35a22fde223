"""The ICO project sites that made-up visitors go to.

The list is the dbt seed ``sites.csv``: models join it and the generator draws from it, so that
there is one list and no number can be about a site that the other side does not know.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.errors import GeneratorError

SITES_FILE: Final = Path(__file__).parents[2] / "dbt_project" / "seeds" / "sites.csv"


@dataclass(frozen=True, slots=True)
class Site:
    """One project site; it belongs to one tenant."""

    site_id: str
    project_name: str
    category: str
    token_symbol: str
    domain: str
    target_raise_usd: int
    tenant_id: str


def load_sites(path: Path = SITES_FILE) -> tuple[Site, ...]:
    """Read the sites, in the order of the file.

    Raises:
        GeneratorError: the file is missing, a column is, or the list is empty.
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            sites = tuple(_site(row) for row in csv.DictReader(lines))
    except OSError as error:
        raise GeneratorError(
            f"{path}: the list of sites cannot be read: {error.strerror}"
        ) from error
    except (KeyError, ValueError) as error:
        raise GeneratorError(f"{path}: a site is wrong: {error}") from error
    if not sites:
        raise GeneratorError(f"{path}: the list of sites is empty")
    return sites


def sites_of(tenants: Sequence[str] | None, sites: Sequence[Site]) -> tuple[Site, ...]:
    """Return the sites of the named tenants, or all when ``tenants`` is None.

    Raises:
        GeneratorError: a tenant has no site.
    """
    if tenants is None:
        return tuple(sites)
    known = sorted({site.tenant_id for site in sites})
    for tenant in tenants:
        if tenant not in known:
            raise GeneratorError(
                f"no site belongs to the tenant `{tenant}`",
                hint=f"tenants with sites: {', '.join(known)}",
            )
    return tuple(site for site in sites if site.tenant_id in tenants)


def _site(row: dict[str, str]) -> Site:
    return Site(
        site_id=row["site_id"],
        project_name=row["project_name"],
        category=row["category"],
        token_symbol=row["token_symbol"],
        domain=row["domain"],
        target_raise_usd=int(row["target_raise_usd"]),
        tenant_id=row["tenant_id"],
    )
