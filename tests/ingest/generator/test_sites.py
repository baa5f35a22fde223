from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import GeneratorError
from ingest.generator.sites import load_sites, sites_of


def test_there_are_twenty_projects_in_five_categories() -> None:
    sites = load_sites()
    assert len(sites) == 20
    assert {site.category for site in sites} == {
        "DeFi", "Gaming", "AI", "Healthcare", "Real Estate"
    }  # fmt: skip
    assert all(15_000_000 <= site.target_raise_usd <= 120_000_000 for site in sites)
    for name in ("site_id", "project_name", "token_symbol", "domain"):
        assert len({getattr(site, name) for site in sites}) == 20, name


def test_several_tenants_share_the_sites_and_can_be_chosen() -> None:
    sites = load_sites()
    tenants = {site.tenant_id for site in sites}
    assert len(tenants) > 2
    chosen = sites_of(["acme", "umbra"], sites)
    assert {site.tenant_id for site in chosen} == {"acme", "umbra"}
    assert sum(len(sites_of([tenant], sites)) for tenant in tenants) == 20


def test_an_unknown_tenant_is_told_with_those_there_are() -> None:
    with pytest.raises(GeneratorError, match="nobody") as caught:
        sites_of(["acme", "nobody"], load_sites())
    assert "globex" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("site_id,project_name\n", "empty"),
        ("site_id,project_name\nico-1,One\n", "category"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_list_of_sites_is_told(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "sites.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(GeneratorError, match=words):
        load_sites(path)
